//! `--ssh`: which agents and keys ssh mounts give access to, in BuildKit's and buildah's spelling.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use engine::SshSource;

use super::{Environment, Error};

const FLAG: &str = "--ssh";
const DEFAULT: &str = "default";
const AGENT: &str = "SSH_AUTH_SOCK";

/// Reads all of the flag's uses.
pub(crate) fn find_all(
    specs: &[String],
    environment: &Environment,
) -> Result<BTreeMap<String, SshSource>, Error> {
    let mut sources = BTreeMap::new();
    for spec in specs {
        let (id, source) = find(spec, environment)?;
        if sources.insert(id.to_owned(), source).is_some() {
            return Err(bad(spec, format!("the id `{id}` is given twice")));
        }
    }
    Ok(sources)
}

/// `default` or `ID[=SOCKET|KEY[,KEY…]]`. Without a path, the agent of the environment is meant.
fn find<'a>(spec: &'a str, environment: &Environment) -> Result<(&'a str, SshSource), Error> {
    let (id, paths) = spec.split_once('=').unwrap_or((spec, ""));
    let id = if id.is_empty() { DEFAULT } else { id };
    let paths: Vec<_> = paths.split(',').filter(|path| !path.is_empty() && *path != "raw=false").collect();
    if paths.iter().any(|path| path.starts_with("raw=")) {
        return Err(Error::Unsupported { what: "--ssh with raw".to_owned() });
    }
    if paths.is_empty() {
        let agent = environment.path(AGENT).ok_or(Error::NoAgent)?;
        return Ok((id, SshSource::Agent(agent.to_owned())));
    }
    let mut keys = Vec::new();
    for path in &paths {
        match kind(Path::new(path))? {
            Kind::Socket if paths.len() == 1 => return Ok((id, SshSource::Agent(path.into()))),
            Kind::Socket => return Err(bad(spec, format!("the agent `{path}` must be the only path"))),
            Kind::File => keys.push(PathBuf::from(path)),
            Kind::Other => return Err(bad(spec, format!("`{path}` is neither a socket nor a file"))),
        }
    }
    Ok((id, SshSource::Keys(keys)))
}

enum Kind {
    Socket,
    File,
    Other,
}

fn kind(path: &Path) -> Result<Kind, Error> {
    let metadata = fs::metadata(path).map_err(|source| Error::Io {
        operation: "find the ssh agent or key",
        path: path.to_owned(),
        source,
    })?;
    Ok(match metadata.file_type() {
        kind if kind.is_socket() => Kind::Socket,
        kind if kind.is_file() => Kind::File,
        _ => Kind::Other,
    })
}

fn bad(spec: &str, why: String) -> Error {
    Error::BadValue { flag: FLAG, text: spec.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn agents_are_sockets_and_keys_are_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let _agent = UnixListener::bind(path("agent")).unwrap();
        for key in ["key", "other"] {
            fs::write(path(key), "").unwrap();
        }
        let in_dir = |spec: &str| spec.replace('@', &format!("{}/", dir.path().display()));
        let find = |specs: &[&str]| {
            let specs: Vec<_> = specs.iter().map(|spec| in_dir(spec)).collect();
            find_all(&specs, &Environment::of(&[(AGENT, "/run/agent")]))
        };
        for (spec, id, expected) in [
            ("default", "default", SshSource::Agent("/run/agent".into())),
            ("", "default", SshSource::Agent("/run/agent".into())),
            ("git=", "git", SshSource::Agent("/run/agent".into())),
            ("git=@agent", "git", SshSource::Agent(path("agent"))),
            ("git=@agent,raw=false", "git", SshSource::Agent(path("agent"))),
            ("=@key", "default", SshSource::Keys(vec![path("key")])),
            ("a=@key,@other", "a", SshSource::Keys(vec![path("key"), path("other")])),
        ] {
            assert_eq!(find(&[spec]).unwrap(), BTreeMap::from([(id.to_owned(), expected)]), "{spec}");
        }
        for (specs, message) in [
            (
                &["a=@agent,@key"] as &[_],
                "invalid --ssh `a=@agent,@key`: the agent `@agent` must be the only path",
            ),
            (&["a=@"], "invalid --ssh `a=@`: `@` is neither a socket nor a file"),
            (&["a=@none"], "cannot find the ssh agent or key `@none`"),
            (&["default", "default"], "invalid --ssh `default`: the id `default` is given twice"),
            (&["a=@agent,raw=true"], "--ssh with raw is not supported yet"),
        ] {
            assert_eq!(find(specs).unwrap_err().to_string(), in_dir(message), "{specs:?}");
        }
    }

    #[test]
    fn an_agent_that_is_not_there_is_told_of() {
        let error = find_all(&["default".to_owned()], &Environment::of(&[])).unwrap_err();
        assert_eq!(error.to_string(), "--ssh names no agent, and SSH_AUTH_SOCK is not set");
        assert!(error.hint().unwrap().contains("--ssh default=KEY"));
    }
}
