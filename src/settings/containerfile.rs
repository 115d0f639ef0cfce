//! Finds and reads the Containerfile and the ignore file that goes with it.
//!
//! What is found by its name inside the build context is read inside of it: a link in a hostile context leads to no
//! file elsewhere, whose lines an error message would show. A file that the user names is read where it is; what
//! they name by its URL has been fetched before.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use containerfile::{CppFlags, Source};

use super::{Error, preprocess};

/// In the order of precedence; the last one is BuildKit's.
const NAMES: [&str; 3] = ["Containerfile", "Dockerfile", "dockerfile"];

/// What the user names.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// The parts of the Containerfile: paths, URLs, and `-` for standard input.
    pub containerfiles: Vec<PathBuf>,
    /// The ignore file to use instead of those that have their usual name.
    pub ignorefile: Option<PathBuf>,
    /// How a `.in` file is preprocessed.
    pub flags: CppFlags,
}

impl Named {
    /// What must be fetched before [`find`].
    pub(crate) fn urls(&self) -> impl Iterator<Item = &str> {
        self.containerfiles.iter().filter_map(|file| url(file))
    }
}

/// Containerfiles that were fetched, by their URLs.
pub(crate) type Remote = BTreeMap<String, Source>;

/// A Containerfile with what belongs to it.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its text.
    pub containerfile: Source,
    /// The ignore file, if there is one.
    pub ignore: Option<Source>,
}

/// The directory with the files that COPY reads.
#[derive(Debug)]
pub(crate) struct Context {
    dir: PathBuf,
    /// What messages say instead of `dir`; empty for one that the user never saw.
    shown: PathBuf,
    root: layer::Root,
}

impl Context {
    /// A directory that the user names.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        let root = layer::Root::open(dir).map_err(|source| Error::Context { source })?;
        let shown = if dir == Path::new(".") { PathBuf::new() } else { dir.to_owned() };
        Ok(Self { dir: dir.to_owned(), shown, root })
    }

    /// A directory that was made from what was fetched.
    pub(crate) fn fetched(dir: &Path) -> Result<Self, Error> {
        Ok(Self { shown: PathBuf::new(), ..Self::open(dir)? })
    }

    /// The directory `path` in it (`--context-sub-path`).
    pub(crate) fn below(&self, path: &Path) -> Result<Self, Error> {
        let inside = self.root.resolve(path).map_err(|source| Error::Context { source })?;
        let root = self.root.sub_root(&inside).map_err(|source| Error::Context { source })?;
        Ok(Self { dir: self.dir.join(&inside), shown: self.shown.join(&inside), root })
    }

    /// The directory itself.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file's bytes, without leaving the context; `None` if it is not there.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, Error> {
        self.root.read_bounded(path, Source::MAX_SIZE).map_err(|source| Error::Context { source })
    }

    /// How messages call a file of the context: as the user would from where they stand.
    pub(super) fn shown(&self, path: &Path) -> PathBuf {
        self.shown.join(path)
    }

    fn read_text(&self, path: &Path) -> Result<Option<Source>, Error> {
        let Some(bytes) = self.read(path)? else { return Ok(None) };
        text(&self.shown(path), bytes).map(Some)
    }
}

/// The Containerfile that the named files are one after the other, or the one of `context`, with its ignore file.
///
/// `context` is `None` if there is none. `remote` holds all URLs of `named`, `stdin` is read for a file `-`.
pub(crate) fn find(
    context: Option<&Context>,
    named: &Named,
    remote: &Remote,
    stdin: &mut dyn Read,
) -> Result<Found, Error> {
    let found = containerfiles(context, named, remote, stdin)?;
    let (sources, beside): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let ignore = match (&named.ignorefile, context) {
        (Some(file), _) => Some(text(file, read(file)?)?),
        (None, Some(context)) => ignore_file(context, &beside)?,
        (None, None) => None,
    };
    Ok(Found { containerfile: Source::join(sources), ignore })
}

/// The Containerfiles, and where each stands.
fn containerfiles(
    context: Option<&Context>,
    named: &Named,
    remote: &Remote,
    stdin: &mut dyn Read,
) -> Result<Vec<(Source, Beside)>, Error> {
    match (named.containerfiles.as_slice(), context) {
        ([], Some(context)) => Ok(vec![usual(context)?]),
        ([], None) => Ok(vec![(from_stdin(stdin)?, Beside::Nothing)]),
        (files, context) => files
            .iter()
            .map(|file| match file {
                file if is_stdin(file) => Ok((from_stdin(stdin)?, Beside::Nothing)),
                file => named_file(file, context, remote, &named.flags),
            })
            .collect(),
    }
}

/// Where ignore files of a Containerfile are looked for: next to it.
pub(super) enum Beside {
    Nothing,
    File(PathBuf),
    InContext(PathBuf),
}

fn usual(context: &Context) -> Result<(Source, Beside), Error> {
    for name in NAMES.map(Path::new) {
        if let Some(bytes) = context.read(name)? {
            let source = Source::from_bytes(context.shown(name).to_string_lossy(), &bytes);
            return Ok((source, Beside::InContext(name.to_owned())));
        }
    }
    Err(Error::NoContainerfile { tried: NAMES.iter().map(|name| context.shown(name.as_ref())).collect() })
}

/// A file that the user names, preprocessed if it is called `.in`.
fn named_file(
    file: &Path,
    context: Option<&Context>,
    remote: &Remote,
    flags: &CppFlags,
) -> Result<(Source, Beside), Error> {
    let (source, beside) = match url(file).and_then(|url| remote.get(url)) {
        Some(source) => (source.clone(), Beside::Nothing),
        None => as_written(file, context)?,
    };
    if file.extension().is_none_or(|extension| extension != "in") {
        return Ok((source, beside));
    }
    Ok((preprocess::run(source, &beside, context, flags)?, beside))
}

/// A file that the user names: from where they stand, or, as with buildah, inside the context.
fn as_written(file: &Path, context: Option<&Context>) -> Result<(Source, Beside), Error> {
    match read(file) {
        Ok(bytes) => Ok((Source::from_bytes(file.to_string_lossy(), &bytes), Beside::File(file.to_owned()))),
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            let inside = context.filter(|_| file.is_relative()).map(|context| (context, context.read(file)));
            match inside {
                Some((context, bytes)) => {
                    let tried = || vec![file.to_owned(), context.shown(file)];
                    let bytes = bytes?.ok_or_else(|| Error::NoContainerfile { tried: tried() })?;
                    let source = Source::from_bytes(context.shown(file).to_string_lossy(), &bytes);
                    Ok((source, Beside::InContext(file.to_owned())))
                }
                None => Err(Error::NoContainerfile { tried: vec![file.to_owned()] }),
            }
        }
        Err(error) => Err(error),
    }
}

/// The own ignore file of the first Containerfile that has one, else that of the context; each in our spelling first,
/// then in Docker's.
fn ignore_file(context: &Context, beside: &[Beside]) -> Result<Option<Source>, Error> {
    const SUFFIXES: [&str; 2] = [".containerignore", ".dockerignore"];
    let with = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    for (beside, suffix) in beside.iter().flat_map(|beside| SUFFIXES.map(|suffix| (beside, suffix))) {
        let own = match beside {
            Beside::Nothing => None,
            Beside::InContext(path) => context.read_text(&with(path, suffix))?,
            Beside::File(path) => optional(&with(path, suffix))?,
        };
        if own.is_some() {
            return Ok(own);
        }
    }
    for name in SUFFIXES {
        if let Some(found) = context.read_text(Path::new(name))? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn from_stdin(stdin: &mut dyn Read) -> Result<Source, Error> {
    let bytes = read_from(stdin, Path::new("standard input"))?;
    Ok(Source::from_bytes("standard input", &bytes))
}

fn optional(path: &Path) -> Result<Option<Source>, Error> {
    match read(path) {
        Ok(bytes) => text(path, bytes).map(Some),
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a file that the user named; it may be a pipe.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Io { operation: "read", path: path.to_owned(), source };
    read_from(&mut std::fs::File::open(path).map_err(failed)?, path)
}

fn read_from(reader: &mut dyn Read, path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let failed = |source| Error::Io { operation: "read", path: path.to_owned(), source };
    reader.take(Source::MAX_SIZE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > Source::MAX_SIZE {
        return Err(Error::TooLarge { path: path.to_owned(), limit: Source::MAX_SIZE });
    }
    Ok(bytes)
}

/// An ignore file's bytes as text; patterns that were misread would let secrets into an image.
fn text(path: &Path, bytes: Vec<u8>) -> Result<Source, Error> {
    let text = String::from_utf8(bytes).map_err(|_| Error::NotText { path: path.to_owned() })?;
    Ok(Source::new(path.to_string_lossy(), text))
}

/// Whether a name on the command line stands for standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// The URL that a name on the command line is, if it is one of those that can be fetched.
fn url(name: &Path) -> Option<&str> {
    name.to_str().filter(|name| ["http://", "https://"].iter().any(|scheme| name.starts_with(scheme)))
}

/// Whether `path` is somewhere else.
pub(crate) fn is_url(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.contains("://") || path.starts_with("git@"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    fn named(containerfiles: &[PathBuf]) -> Named {
        Named { containerfiles: containerfiles.to_vec(), ..Named::default() }
    }

    fn found(context: &Path, file: Option<&Path>) -> Result<(String, Option<String>), Error> {
        let context = Context::open(context)?;
        let named = named(file.map(Path::to_owned).as_slice());
        let found = find(Some(&context), &named, &Remote::new(), &mut std::io::empty())?;
        let ignore = found.ignore.map(|ignore| ignore.text().to_owned());
        Ok((found.containerfile.text().to_owned(), ignore))
    }

    #[test]
    fn a_containerfile_comes_before_a_dockerfile() {
        for (files, expected) in [
            (&["Containerfile", "Dockerfile", "dockerfile"] as &[&str], "Containerfile"),
            (&["Dockerfile", "dockerfile"], "Dockerfile"),
            (&["dockerfile"], "dockerfile"),
        ] {
            let files: Vec<_> = files.iter().map(|name| (*name, *name)).collect();
            let dir = tree(&files);
            assert_eq!(found(dir.path(), None).unwrap().0, expected);
        }
        let error = found(tree(&[]).path(), None).unwrap_err();
        assert!(error.to_string().starts_with("there is no Containerfile at `"), "{error}");
    }

    #[test]
    fn the_own_ignore_file_wins_whole_and_containerignore_comes_first() {
        let all = [
            ("Containerfile.containerignore", "1"),
            ("Containerfile.dockerignore", "2"),
            (".containerignore", "3"),
            (".dockerignore", "4"),
        ];
        for first in 0..=all.len() {
            let mut files = vec![("Containerfile", "FROM scratch")];
            files.extend(&all[first..]);
            let dir = tree(&files);
            let expected = all.get(first).map(|(_, text)| (*text).to_owned());
            assert_eq!(found(dir.path(), None).unwrap().1, expected, "{first}");
        }
    }

    #[test]
    fn a_named_file_is_looked_for_outside_and_then_inside_of_the_context() {
        let dir = tree(&[
            ("ctx/a/File", "inside"),
            ("outside/File", "outside"),
            ("outside/File.dockerignore", "x"),
        ]);
        let context = dir.path().join("ctx");
        let outside = dir.path().join("outside/File");
        assert_eq!(found(&context, Some(&outside)).unwrap(), ("outside".to_owned(), Some("x".to_owned())));
        assert_eq!(found(&context, Some(Path::new("a/File"))).unwrap().0, "inside");
        let error = found(&context, Some(Path::new("b/File"))).unwrap_err();
        assert!(error.to_string().contains("ctx/b/File"), "{error}");
    }

    #[test]
    fn a_link_in_the_context_leads_to_no_file_outside() {
        let dir = tree(&[("secret", "password"), ("ctx/real", "FROM scratch")]);
        let context = dir.path().join("ctx");
        let link = context.join("Containerfile");
        std::os::unix::fs::symlink(dir.path().join("secret"), &link).unwrap();
        assert!(found(&context, None).is_err());
        std::fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink("..data/Containerfile", &link).unwrap();
        std::fs::create_dir(context.join("..data")).unwrap();
        std::os::unix::fs::symlink("../real", context.join("..data/Containerfile")).unwrap();
        assert_eq!(found(&context, None).unwrap().0, "FROM scratch");
    }

    #[test]
    fn standard_input_is_a_containerfile_with_or_without_a_context() {
        let dir = tree(&[(".dockerignore", "x"), ("-.dockerignore", "no")]);
        let mut stdin: &[u8] = b"FROM scratch";
        let context = Context::open(dir.path()).unwrap();
        let found = find(Some(&context), &named(&["-".into()]), &Remote::new(), &mut stdin).unwrap();
        assert_eq!(
            (found.containerfile.name(), found.containerfile.text()),
            ("standard input", "FROM scratch")
        );
        assert_eq!(found.ignore.unwrap().text(), "x");
        let mut stdin: &[u8] = b"FROM scratch";
        assert!(find(None, &Named::default(), &Remote::new(), &mut stdin).unwrap().ignore.is_none());
    }

    #[test]
    fn several_files_are_one_containerfile_with_the_first_ignore_file() {
        let dir = tree(&[("a", "FROM a"), ("b", "RUN b"), ("b.dockerignore", "x"), (".dockerignore", "y")]);
        let files = ["-", "a", "b"].map(PathBuf::from);
        let mut stdin: &[u8] = b"ARG c\n";
        let found =
            find(Some(&Context::open(dir.path()).unwrap()), &named(&files), &Remote::new(), &mut stdin)
                .unwrap();
        let stages = ::containerfile::parse(&found.containerfile).unwrap().stages;
        assert_eq!((stages.len(), stages[0].instructions.len()), (1, 1));
        assert_eq!(found.ignore.unwrap().text(), "x");
    }

    #[test]
    fn a_sub_path_stays_inside_of_the_context() {
        let dir = tree(&[("ctx/a/b/Containerfile", "FROM scratch"), ("out/Containerfile", "FROM out")]);
        std::os::unix::fs::symlink("../../out", dir.path().join("ctx/a/link")).unwrap();
        let context = Context::open(&dir.path().join("ctx")).unwrap();
        let below = context.below(Path::new("a/b")).unwrap();
        assert_eq!(below.dir(), dir.path().join("ctx/a/b"));
        assert_eq!(
            find(Some(&below), &Named::default(), &Remote::new(), &mut std::io::empty())
                .unwrap()
                .containerfile
                .text(),
            "FROM scratch"
        );
        for path in ["../out", "a/link", "none"] {
            assert!(context.below(Path::new(path)).is_err(), "{path}");
        }
    }
}
