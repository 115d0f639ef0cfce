//! `RUN --mount=`: the options as they are written. What they mean together, [`Mount::resolve`] says once
//! variables have values.

use super::{MountSpec, csv, mount_resolve};
use crate::{Diagnostic, Escape, Span, Word, suggest};

/// A mount of one RUN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// In the order written; every key is known, but not yet whether it fits the type.
    pub options: Vec<MountOption>,
    /// The whole value of the flag.
    pub span: Span,
}

/// One `key=value` or `key` of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountOption {
    pub(super) key: Key,
    /// The key as written.
    pub name: String,
    /// The value before expansion, if there is a `=`.
    pub value: Option<Word>,
    /// Key and value.
    pub span: Span,
}

/// What an option sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Type,
    From,
    Source,
    Target,
    Id,
    ReadOnly,
    ReadWrite,
    Sharing,
    Required,
    Size,
    Mode,
    Uid,
    Gid,
    Env,
    CopyUp,
    NoSuid,
    NoDev,
    NoExec,
    NonRecursive,
    NoDereference,
    Chown,
    Propagation,
    PrivatePropagation,
    OtherPropagation,
    WithoutEffect,
}

/// Spellings of BuildKit and of buildah, in lower case.
const KEYS: [(&str, Key); 41] = [
    ("type", Key::Type),
    ("from", Key::From),
    ("source", Key::Source),
    ("src", Key::Source),
    ("target", Key::Target),
    ("dst", Key::Target),
    ("destination", Key::Target),
    ("id", Key::Id),
    ("readonly", Key::ReadOnly),
    ("ro", Key::ReadOnly),
    ("readwrite", Key::ReadWrite),
    ("rw", Key::ReadWrite),
    ("sharing", Key::Sharing),
    ("required", Key::Required),
    ("size", Key::Size),
    ("tmpfs-size", Key::Size),
    ("mode", Key::Mode),
    ("tmpfs-mode", Key::Mode),
    ("uid", Key::Uid),
    ("gid", Key::Gid),
    ("env", Key::Env),
    ("tmpcopyup", Key::CopyUp),
    ("nosuid", Key::NoSuid),
    ("nodev", Key::NoDev),
    ("noexec", Key::NoExec),
    ("bind-nonrecursive", Key::NonRecursive),
    ("no-dereference", Key::NoDereference),
    ("u", Key::Chown),
    ("chown", Key::Chown),
    ("bind-propagation", Key::Propagation),
    ("private", Key::PrivatePropagation),
    ("rprivate", Key::PrivatePropagation),
    ("shared", Key::OtherPropagation),
    ("rshared", Key::OtherPropagation),
    ("slave", Key::OtherPropagation),
    ("rslave", Key::OtherPropagation),
    ("unbindable", Key::OtherPropagation),
    ("runbindable", Key::OtherPropagation),
    ("z", Key::WithoutEffect),
    ("relabel", Key::WithoutEffect),
    ("consistency", Key::WithoutEffect),
];

impl Mount {
    /// Parses a mount that stands by itself, as on a command line.
    pub fn parse_alone(text: &str) -> Result<Self, Diagnostic> {
        let word = Word::new(text, Span::new(0, text.len()));
        Self::parse(&word, Escape::Backslash, &mut Vec::new())
    }

    /// Parses the value of `--mount=`. Where it holds no variable, its meaning is checked as well.
    pub(super) fn parse(
        value: &Word,
        escape: Escape,
        warnings: &mut Vec<Diagnostic>,
    ) -> Result<Self, Diagnostic> {
        let options = csv::fields(value)?.iter().map(option).collect::<Result<Vec<_>, _>>()?;
        for option in options.iter().filter(|option| option.key == Key::WithoutEffect) {
            let message = format!("mount option `{}` has no effect", option.name);
            warnings.push(
                Diagnostic::warning("MountOptionWithoutEffect", message, option.span)
                    .with_note("no SELinux labels are written, and every mount is consistent"),
            );
        }
        let mount = Self { options, span: value.span() };
        if !value.text().contains('$') {
            mount.resolve(&mut |word| Ok(word.expand(&|_| None, escape)?.value))?;
        }
        Ok(mount)
    }

    /// `from=`: a stage, its index, an image or a named context.
    pub fn from(&self) -> Option<&Word> {
        self.last(Key::From)
    }

    /// `source=`: what of it is mounted.
    pub fn source(&self) -> Option<&Word> {
        self.last(Key::Source)
    }

    /// `target=`: where it is mounted.
    pub fn target(&self) -> Option<&Word> {
        self.last(Key::Target)
    }

    /// The meaning of the options; `expand` gives the value of a word.
    ///
    /// Errors: a value that is none, and an option that does not fit the type of the mount.
    pub fn resolve(
        &self,
        expand: &mut dyn FnMut(&Word) -> Result<String, Diagnostic>,
    ) -> Result<MountSpec, Diagnostic> {
        mount_resolve::resolve(self, expand)
    }

    pub(super) fn last(&self, key: Key) -> Option<&Word> {
        self.options.iter().rev().find(|option| option.key == key)?.value.as_ref()
    }
}

fn option(field: &Word) -> Result<MountOption, Diagnostic> {
    let span = field.span();
    let (name, value) = match field.text().split_once('=') {
        Some((name, _)) => {
            let value = field.part(name.len() + 1..field.text().len());
            (name, Some(value))
        }
        None => (field.text(), None),
    };
    let lower = name.to_lowercase();
    let Some((_, key)) = KEYS.iter().find(|(known, _)| *known == lower) else {
        let diagnostic = Diagnostic::error(format!("unknown mount option `{name}`"), span);
        // Single letters are too near to everything.
        let candidates = KEYS.iter().map(|(known, _)| *known).filter(|known| known.len() > 1);
        return Err(diagnostic.with_suggestion(suggest::closest(&lower, candidates)));
    };
    Ok(MountOption { key: *key, name: name.to_owned(), value, span })
}
