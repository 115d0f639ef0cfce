//! The options of a mount → [`MountSpec`].
//!
//! Only options that can be honoured get through. Mount propagation, for one, would carry a step's mounts out
//! of the step, so anything but private is refused by name.

use std::collections::BTreeSet;

use super::mount::{Key, MountOption};
use super::{
    BindMount, CacheMount, Mount, MountFlag, MountSpec, SecretMount, Sharing, SshMount, TmpfsMount, run,
};
use crate::directives::parse_bool;
use crate::{Diagnostic, Span, Word};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

const KINDS: [(&str, Kind); 5] = [
    ("bind", Kind::Bind),
    ("cache", Kind::Cache),
    ("tmpfs", Kind::Tmpfs),
    ("secret", Kind::Secret),
    ("ssh", Kind::Ssh),
];

const SHARINGS: [(&str, Sharing); 3] =
    [("shared", Sharing::Shared), ("private", Sharing::Private), ("locked", Sharing::Locked)];

impl Kind {
    fn as_str(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    fn takes(self, key: Key) -> bool {
        use Key as K;
        match key {
            K::Type | K::Target | K::ReadOnly => true,
            K::ReadWrite | K::NoSuid | K::NoDev | K::NoExec => {
                matches!(self, Self::Bind | Self::Cache | Self::Tmpfs)
            }
            K::From | K::Chown | K::Propagation | K::PrivatePropagation | K::OtherPropagation => {
                matches!(self, Self::Bind | Self::Cache)
            }
            K::WithoutEffect => matches!(self, Self::Bind | Self::Cache),
            K::Source => matches!(self, Self::Bind | Self::Cache | Self::Secret),
            K::Id => matches!(self, Self::Cache | Self::Secret | Self::Ssh),
            K::Mode => self != Self::Bind,
            K::Uid | K::Gid => matches!(self, Self::Cache | Self::Secret | Self::Ssh),
            K::Required => matches!(self, Self::Secret | Self::Ssh),
            K::Sharing => self == Self::Cache,
            K::Size | K::CopyUp => self == Self::Tmpfs,
            K::Env => self == Self::Secret,
            K::NonRecursive | K::NoDereference => self == Self::Bind,
        }
    }

    /// Whether every mount of this kind is what `key` asks for.
    fn always(self, key: Key) -> bool {
        match key {
            Key::ReadOnly => matches!(self, Self::Secret | Self::Ssh),
            Key::NoSuid => self == Self::Tmpfs,
            // What a step may open of devices is in /dev.
            Key::PrivatePropagation | Key::NoDev => true,
            _ => false,
        }
    }
}

type Expand<'a> = &'a mut dyn FnMut(&Word) -> Result<String, Diagnostic>;

/// See [`Mount::resolve`].
pub(super) fn resolve(mount: &Mount, expand: Expand<'_>) -> Result<MountSpec, Diagnostic> {
    let kind = match mount.last(Key::Type) {
        None => Kind::Bind,
        Some(word) => {
            let name = Word::new(expand(word)?.to_lowercase(), word.span());
            run::choose(&name, "mount type", &KINDS)?.value
        }
    };
    let mut draft = Draft::default();
    for option in mount.options.iter().filter(|option| option.key != Key::Type) {
        if !kind.takes(option.key) {
            let message = format!("`{}` is not an option of {} mounts", option.name, kind.as_str());
            return Err(Diagnostic::error(message, option.span));
        }
        if kind.always(option.key) && !switch(option, expand)? {
            let message = format!("{} mounts are always `{}`", kind.as_str(), option.name);
            return Err(Diagnostic::error(message, option.span).with_hint("leave it out"));
        }
        draft.set(option, expand)?;
    }
    draft.finish(kind, mount.span)
}

/// The options of a mount of any type.
#[derive(Debug, Default)]
struct Draft {
    from: Option<String>,
    source: Option<String>,
    target: Option<String>,
    id: Option<String>,
    env: Option<String>,
    read_only: Option<bool>,
    required: bool,
    sharing: Sharing,
    size: Option<u64>,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    flags: BTreeSet<MountFlag>,
}

impl Draft {
    fn set(&mut self, option: &MountOption, expand: Expand<'_>) -> Result<(), Diagnostic> {
        match option.key {
            // They are settled before: one is the kind, one has been warned of, and the others are always so.
            Key::Type | Key::WithoutEffect | Key::PrivatePropagation | Key::NoDev => {}
            Key::From => self.from = Some(text(option, expand)?).filter(|from| !from.is_empty()),
            Key::Source => self.source = Some(text(option, expand)?),
            Key::Target => self.target = Some(text(option, expand)?),
            Key::Id => self.id = Some(text(option, expand)?),
            Key::Env => self.env = Some(text(option, expand)?),
            Key::ReadOnly => self.read_only = Some(switch(option, expand)?),
            Key::ReadWrite => self.read_only = Some(!switch(option, expand)?),
            Key::Required => self.required = switch(option, expand)?,
            Key::Sharing => {
                let name = Word::new(text(option, expand)?.to_lowercase(), option.span);
                self.sharing = run::choose(&name, "sharing mode", &SHARINGS)?.value;
            }
            Key::Size => self.size = Some(parsed(option, expand, "size", parse_size)?),
            Key::Mode => self.mode = Some(parsed(option, expand, "octal mode", parse_mode)?),
            Key::Uid => self.uid = Some(parsed(option, expand, "user id", |id| id.parse().ok())?),
            Key::Gid => self.gid = Some(parsed(option, expand, "group id", |id| id.parse().ok())?),
            Key::CopyUp => self.flag(MountFlag::CopyUp, option, expand)?,
            Key::NoSuid => self.flag(MountFlag::NoSuid, option, expand)?,
            Key::NoExec => self.flag(MountFlag::NoExec, option, expand)?,
            Key::NonRecursive => self.flag(MountFlag::NonRecursive, option, expand)?,
            Key::NoDereference => self.flag(MountFlag::NoDereference, option, expand)?,
            Key::Chown => self.flag(MountFlag::Chown, option, expand)?,
            Key::Propagation => match text(option, expand)?.as_str() {
                "private" | "rprivate" => {}
                other => return Err(propagation(option, other)),
            },
            Key::OtherPropagation => return Err(propagation(option, &option.name)),
        }
        Ok(())
    }

    fn flag(&mut self, flag: MountFlag, option: &MountOption, expand: Expand<'_>) -> Result<(), Diagnostic> {
        if switch(option, expand)? {
            self.flags.insert(flag);
        } else {
            self.flags.remove(&flag);
        }
        Ok(())
    }

    fn finish(self, kind: Kind, span: Span) -> Result<MountSpec, Diagnostic> {
        Ok(match kind {
            Kind::Bind => MountSpec::Bind(BindMount {
                from: self.from,
                source: self.source.unwrap_or_default(),
                target: self.target.unwrap_or_default(),
                read_only: self.read_only.unwrap_or(true),
                flags: self.flags,
            }),
            Kind::Cache => MountSpec::Cache(CacheMount {
                id: self.id.filter(|id| !id.is_empty()),
                from: self.from,
                source: self.source.unwrap_or_default(),
                target: self.target.unwrap_or_default(),
                sharing: self.sharing,
                read_only: self.read_only.unwrap_or(false),
                mode: self.mode.unwrap_or(0o755),
                uid: self.uid.unwrap_or(0),
                gid: self.gid.unwrap_or(0),
                flags: self.flags,
            }),
            Kind::Tmpfs => MountSpec::Tmpfs(TmpfsMount {
                target: self.target.unwrap_or_default(),
                size: self.size,
                mode: self.mode,
                read_only: self.read_only.unwrap_or(false),
                flags: self.flags,
            }),
            Kind::Secret => MountSpec::Secret(self.finish_secret(span)?),
            Kind::Ssh => MountSpec::Ssh(SshMount {
                id: self.id.filter(|id| !id.is_empty()).unwrap_or_else(|| "default".to_owned()),
                target: self.target.filter(|target| !target.is_empty()),
                required: self.required,
                mode: self.mode.unwrap_or(0o600),
                uid: self.uid.unwrap_or(0),
                gid: self.gid.unwrap_or(0),
            }),
        })
    }

    fn finish_secret(self, span: Span) -> Result<SecretMount, Diagnostic> {
        let given = |value: Option<String>| value.filter(|value| !value.is_empty());
        let (source, id, target) = (given(self.source), given(self.id), given(self.target));
        if source.is_some() && id.is_some() {
            return Err(Diagnostic::error("`source` and `id` of a secret mount are the same thing", span)
                .with_hint("keep `id`"));
        }
        let base_name = |path: &str| path.trim_end_matches('/').rsplit('/').next().unwrap_or(path).to_owned();
        let Some(id) = source.or(id).or_else(|| target.as_deref().map(base_name)) else {
            return Err(Diagnostic::error("a secret mount needs an `id` or a `target`", span));
        };
        let target = match (target, &self.env) {
            (None, None) => Some(format!("/run/secrets/{}", base_name(&id))),
            (target, _) => target,
        };
        let env = self.env.map(|name| if name.is_empty() { id.clone() } else { name });
        Ok(SecretMount {
            id,
            target,
            env,
            required: self.required,
            mode: self.mode.unwrap_or(0o400),
            uid: self.uid.unwrap_or(0),
            gid: self.gid.unwrap_or(0),
        })
    }
}

fn text(option: &MountOption, expand: Expand<'_>) -> Result<String, Diagnostic> {
    let Some(value) = &option.value else {
        let key = &option.name;
        return Err(Diagnostic::error(format!("mount option `{key}` needs a value"), option.span)
            .with_hint(format!("write `{key}=<value>`")));
    };
    expand(value)
}

/// BuildKit takes `ro` and `ro=true`, buildah the former only.
fn switch(option: &MountOption, expand: Expand<'_>) -> Result<bool, Diagnostic> {
    if option.value.is_none() {
        return Ok(true);
    }
    parsed(option, expand, "boolean", parse_bool)
}

fn parsed<T>(
    option: &MountOption,
    expand: Expand<'_>,
    what: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, Diagnostic> {
    let value = text(option, expand)?;
    parse(&value).ok_or_else(|| {
        let message = format!("`{value}` is no {what}, as mount option `{}` needs", option.name);
        Diagnostic::error(message, option.span)
    })
}

fn propagation(option: &MountOption, what: &str) -> Diagnostic {
    Diagnostic::error(format!("mount propagation `{what}` is not allowed"), option.span)
        .with_note("it would carry mounts out of the step")
        .with_hint("leave it out: mounts are private")
}

fn parse_mode(text: &str) -> Option<u32> {
    let octal = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    u32::from_str_radix(text, 8).ok().filter(|mode| octal && *mode <= 0o7777)
}

/// A number of bytes with an optional binary unit: `64m`, `1.5GiB`, `512`.
fn parse_size(text: &str) -> Option<u64> {
    let number_length = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(number_length);
    let unit = unit.trim_start().to_ascii_lowercase();
    let shift = match unit.strip_suffix('b').unwrap_or(&unit) {
        "" => 0,
        "k" | "ki" => 10,
        "m" | "mi" => 20,
        "g" | "gi" => 30,
        "t" | "ti" => 40,
        "p" | "pi" => 50,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.get(..fraction.len().min(6))?;
    let bytes = whole.parse::<u64>().ok()?.checked_mul(1 << shift)?;
    let part = match fraction {
        "" => 0,
        digits => digits.parse::<u64>().ok()?.checked_mul(1 << shift)? / 10u64.pow(digits.len() as u32),
    };
    bytes.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        for (text, expected) in [
            ("512", Some(512)),
            ("10b", Some(10)),
            ("64m", Some(64 << 20)),
            ("1.5GiB", Some(3 << 29)),
            ("2 KB", Some(2048)),
            ("1T", Some(1 << 40)),
            ("", None),
            ("m", None),
            ("-1", None),
            ("1x", None),
            ("1.2.3m", None),
            ("99999999p", None),
        ] {
            assert_eq!(parse_size(text), expected, "{text}");
        }
    }

    #[test]
    fn modes_are_octal() {
        for (text, expected) in [
            ("0755", Some(0o755)),
            ("7777", Some(0o7777)),
            ("8", None),
            ("+7", None),
            ("", None),
            ("17777", None),
        ] {
            assert_eq!(parse_mode(text), expected, "{text}");
        }
    }
}
