//! One credentials file: Docker's `config.json`, its older `.dockercfg`, or containers-auth.json(5).
//!
//! Finds the entry for a repository: the longest matching path first, spelled as either tool spells it. Secrets never
//! leave this module but as a [`Secret`], and never in an error.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::credentials::Secret;
use crate::Error;

/// No honest file is larger.
const SIZE_LIMIT: u64 = 4 << 20;

/// Names under which people log in to Docker Hub.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// Docker pads, other tools do not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a file says about a repository.
#[derive(Debug)]
pub(super) enum Found {
    /// A secret.
    Secret(Secret),
    /// The name of the program that knows it (`docker-credential-NAME`).
    Helper(String),
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AuthFile {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    #[serde(rename = "identitytoken")]
    identity_token: Option<String>,
    #[serde(rename = "registrytoken")]
    registry_token: Option<String>,
}

impl AuthFile {
    /// Reads `path`; `None` if there is no such file.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let unusable = |cause: String| Error::AuthFile { path: path.to_owned(), cause };
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(SIZE_LIMIT + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) if bytes.len() as u64 > SIZE_LIMIT => Err(unusable("it is larger than 4 MiB".to_owned())),
            Ok(_) => Self::parse(&bytes).map(Some).map_err(unusable),
            Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(cause) => Err(unusable(cause.to_string())),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        // serde_json's messages can quote the offending value, which may be a secret.
        let place = |cause: &serde_json::Error| {
            format!("it is not the expected JSON (line {}, column {})", cause.line(), cause.column())
        };
        let json: BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(bytes).map_err(|cause| place(&cause))?;
        if ["auths", "credHelpers", "credsStore"].iter().any(|key| json.contains_key(*key)) {
            return serde_json::from_slice(bytes).map_err(|cause| place(&cause));
        }
        // `.dockercfg` has the entries at the top.
        let entries =
            json.into_iter().filter_map(|(key, value)| Some((key, serde_json::from_value(value).ok()?)));
        Ok(Self { auths: entries.collect(), ..Self::default() })
    }

    /// What the file says about `repository` at `registry` (`HOST[:PORT]`).
    pub(super) fn find(&self, registry: &str, repository: &str) -> Result<Option<Found>, String> {
        if let Some(helper) = same_host(&self.cred_helpers, registry) {
            return Ok(Some(Found::Helper(helper.clone())));
        }
        for key in keys(registry, repository) {
            let exact = self.auths.get_key_value(&key);
            let spelled_otherwise = self.auths.iter().filter(|(name, _)| normalised(name) == key);
            for (name, entry) in exact.into_iter().chain(spelled_otherwise) {
                let secret = entry.secret().map_err(|problem| format!("entry `{name}`: {problem}"))?;
                if let Some(secret) = secret {
                    return Ok(Some(Found::Secret(secret)));
                }
            }
        }
        Ok(self.creds_store.clone().filter(|name| !name.is_empty()).map(Found::Helper))
    }
}

impl Entry {
    /// `None` for the empty entry, which Docker writes beside a credentials store.
    fn secret(&self) -> Result<Option<Secret>, &'static str> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = given(&self.registry_token) {
            return Ok(Some(Secret::RegistryToken(token)));
        }
        if let Some(token) = given(&self.identity_token) {
            return Ok(Some(Secret::IdentityToken(token)));
        }
        if let Some(auth) = given(&self.auth) {
            return decode(&auth).map(Some);
        }
        Ok(match (given(&self.username), given(&self.password)) {
            (Some(user), Some(password)) => Some(Secret::Password { user, password }),
            _ => None,
        })
    }
}

fn decode(auth: &str) -> Result<Secret, &'static str> {
    const PROBLEM: &str = "`auth` is not the base64 form of user:password";
    let bytes = BASE64.decode(auth.trim()).map_err(|_| PROBLEM)?;
    let text = String::from_utf8(bytes).map_err(|_| PROBLEM)?;
    let (user, password) = text.split_once(':').ok_or(PROBLEM)?;
    let password = password.trim_end_matches('\0').to_owned();
    Ok(Secret::Password { user: user.to_owned(), password })
}

/// The keys that match a repository, most specific first: `HOST/a/b`, `HOST/a`, `HOST`.
fn keys(registry: &str, repository: &str) -> Vec<String> {
    let mut key = format!("{registry}/{repository}");
    let mut keys = vec![key.clone()];
    while let Some(slash) = key.rfind('/') {
        key.truncate(slash);
        keys.push(key.clone());
    }
    keys
}

/// `https://index.docker.io/v1/` and its like as the bare host that they stand for.
fn normalised(key: &str) -> String {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let (host, path) = match (bare, key.split_once('/')) {
        // With a scheme it is Docker's key, whose path is the version of the interface.
        (Some(bare), _) => (bare.split('/').next().unwrap_or_default(), ""),
        (None, Some((host, path))) => (host, path.trim_end_matches('/')),
        (None, None) => (key, ""),
    };
    let host = if DOCKER_HUB.contains(&host) { "docker.io" } else { host };
    match path {
        "" | "v1" | "v2" => host.to_owned(),
        path => format!("{host}/{path}"),
    }
}

fn same_host<'a>(helpers: &'a BTreeMap<String, String>, registry: &str) -> Option<&'a String> {
    let exact = helpers.get(registry);
    exact.or_else(|| helpers.iter().find(|(key, _)| normalised(key) == registry).map(|(_, helper)| helper))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `file` knows about `registry/repository`, as one word.
    fn find(file: &str, registry: &str, repository: &str) -> String {
        let file = AuthFile::parse(file.as_bytes()).unwrap();
        match file.find(registry, repository) {
            Ok(Some(Found::Secret(Secret::Password { user, password }))) => format!("{user}:{password}"),
            Ok(Some(Found::Secret(Secret::IdentityToken(token)))) => format!("identity {token}"),
            Ok(Some(Found::Secret(Secret::RegistryToken(token)))) => format!("registry {token}"),
            Ok(Some(Found::Helper(name))) => format!("helper {name}"),
            Ok(None | Some(Found::Secret(Secret::None))) => "nothing".to_owned(),
            Err(problem) => problem,
        }
    }

    #[test]
    fn every_form_of_an_entry_is_understood() {
        for (entry, expected) in [
            (r#"{"auth":"dTpwOndpdGg6Y29sb25z"}"#, "u:p:with:colons"),
            (r#"{"auth":"dTpw\n"}"#, "u:p"),
            (r#"{"auth":"dTpwMQ"}"#, "u:p1"),
            (r#"{"auth":"dTpwAAA="}"#, "u:p"),
            (r#"{"username":"u","password":"p"}"#, "u:p"),
            (r#"{"auth":"dTpw","identitytoken":"t"}"#, "identity t"),
            (r#"{"registrytoken":"t"}"#, "registry t"),
            ("{}", "nothing"),
            (r#"{"auth":"","email":"x"}"#, "nothing"),
            (r#"{"auth":"dQ=="}"#, "entry `r.io`: `auth` is not the base64 form of user:password"),
            (r#"{"auth":"?"}"#, "entry `r.io`: `auth` is not the base64 form of user:password"),
        ] {
            assert_eq!(find(&format!(r#"{{"auths":{{"r.io":{entry}}}}}"#), "r.io", "a"), expected, "{entry}");
        }
    }

    #[test]
    fn the_longest_path_wins_and_lookalikes_never_match() {
        let key = |name: &str| format!(r#""{name}":{{"username":"{name}","password":"p"}}"#);
        let file = format!(
            r#"{{"auths":{{{},{},{},{}}}}}"#,
            key("q.io"),
            key("q.io/org"),
            key("q.io/org/app"),
            key("http://plain:5000/v2/")
        );
        for (registry, repository, expected) in [
            ("q.io", "org/app", "q.io/org/app:p"),
            ("q.io", "org/app/sub", "q.io/org/app:p"),
            ("q.io", "org/apple", "q.io/org:p"),
            ("q.io", "organ/x", "q.io:p"),
            ("plain:5000", "x", "http://plain:5000/v2/:p"),
            ("plain", "x", "nothing"),
            ("xq.io", "org/app", "nothing"),
            ("q.io.evil", "org/app", "nothing"),
            ("q.io:443", "org/app", "nothing"),
        ] {
            assert_eq!(find(&file, registry, repository), expected, "{registry}/{repository}");
        }
    }

    #[test]
    fn docker_hub_has_many_names() {
        for key in [
            "https://index.docker.io/v1/",
            "https://index.docker.io/v1",
            "index.docker.io/v1/",
            "index.docker.io",
            "docker.io",
            "registry-1.docker.io",
            "https://registry-1.docker.io/v2/",
        ] {
            let file = format!(r#"{{"auths":{{"{key}":{{"auth":"dTpw"}}}}}}"#);
            assert_eq!(find(&file, "docker.io", "library/alpine"), "u:p", "{key}");
            assert_eq!(find(&file, "quay.io", "library/alpine"), "nothing", "{key}");
        }
    }

    #[test]
    fn old_and_empty_files_are_understood() {
        assert_eq!(find(r#"{"r.io":{"auth":"dTpw","email":"x"}}"#, "r.io", "a"), "u:p");
        assert_eq!(find(r#"{"detachKeys":"ctrl-e","HttpHeaders":{"A":"b"}}"#, "r.io", "a"), "nothing");
        assert_eq!(find("{}", "r.io", "a"), "nothing");
        assert_eq!(find(" \n", "r.io", "a"), "nothing");
    }

    #[test]
    fn helpers_come_before_entries_and_stores_after() {
        let file = r#"{"credHelpers":{"https://h.io":"ecr-login"},"credsStore":"desktop",
                       "auths":{"h.io":{"auth":"dTpw"},"r.io":{"auth":"dTpw"},"empty.io":{}}}"#;
        assert_eq!(find(file, "h.io", "a"), "helper ecr-login");
        assert_eq!(find(file, "r.io", "a"), "u:p");
        assert_eq!(find(file, "empty.io", "a"), "helper desktop");
    }

    #[test]
    fn problems_are_told_without_the_content() {
        for text in
            [r#"{"auths":{"r.io":{"auth":["secret"]}}}"#, r#"{"auths":"secret"}"#, "[\"secret\"]", "{"]
        {
            let problem = AuthFile::parse(text.as_bytes()).err().unwrap();
            assert!(problem.contains("line") && !problem.contains("secret"), "{problem}");
        }
    }
}
