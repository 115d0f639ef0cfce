//! How registries are talked to: credentials, trust, proxies, patience.

use std::path::PathBuf;

use oci::Reference;
use registry::{Credentials, ExplicitCredentials, Proxies, Retry, Settings, TlsSettings, Verify};

use super::{Environment, Error, duration};
use crate::args::RegistryArgs;

/// Settles the flags. `pushed` are the names that are pushed to; `config` is a credentials file that is asked before
/// Docker's.
///
/// Credentials of the command line are for the registry that is pushed to. Only if there is none, or more than one,
/// they are for all, as with buildah: nobody's password shall reach Docker Hub because a base image lies there.
pub(crate) fn settle(
    args: &RegistryArgs,
    pushed: &[Reference],
    config: Option<PathBuf>,
    environment: &Environment,
) -> Result<Settings, Error> {
    let retry_delay = duration::parse(&args.retry_delay).ok_or_else(|| Error::BadValue {
        flag: "--retry-delay",
        text: args.retry_delay.clone(),
        why: "expected a duration such as 2s or 500ms".to_owned(),
    })?;
    for path in args.authfile.iter().chain(&args.cert_dir) {
        std::fs::metadata(path).map_err(|source| Error::Io {
            operation: "read",
            path: path.clone(),
            source,
        })?;
    }
    Ok(Settings {
        credentials: Credentials {
            explicit: args.creds.as_deref().map(|creds| explicit(creds, pushed)).transpose()?,
            auth_files: auth_files(args, config, environment),
        },
        tls: TlsSettings {
            verify: if args.tls_verify == Some(false) { Verify::Skipped } else { Verify::Required },
            cert_dirs: cert_dirs(environment),
            cert_dir: args.cert_dir.clone(),
            ca_file: environment.path("SSL_CERT_FILE").map(PathBuf::from),
            ca_dirs: environment
                .path("SSL_CERT_DIR")
                .map(|dirs| std::env::split_paths(dirs).collect())
                .unwrap_or_default(),
        },
        proxies: proxies(environment),
        retry: Retry { attempts: args.retry, delay: retry_delay },
        ..Settings::default()
    })
}

fn explicit(creds: &str, pushed: &[Reference]) -> Result<ExplicitCredentials, Error> {
    let (user, password) =
        creds.split_once(':').filter(|(user, _)| !user.is_empty()).ok_or(Error::Credentials)?;
    let one = pushed.first().map(Reference::registry);
    let registry = one.filter(|one| pushed.iter().all(|name| name.registry() == *one)).map(str::to_owned);
    Ok(ExplicitCredentials { registry, user: user.to_owned(), password: password.to_owned() })
}

/// The files that may hold credentials, in the order of containers-auth.json(5) with Docker's after them.
fn auth_files(args: &RegistryArgs, config: Option<PathBuf>, environment: &Environment) -> Vec<PathBuf> {
    let below = |variable: &str, file: &str| environment.path(variable).map(|dir| dir.join(file));
    let files = [
        args.authfile.clone(),
        environment.path("REGISTRY_AUTH_FILE").map(PathBuf::from),
        config,
        below("DOCKER_CONFIG", "config.json"),
        below("XDG_RUNTIME_DIR", "containers/auth.json"),
        Some(format!("/run/containers/{}/auth.json", environment.uid).into()),
        environment.xdg("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("containers/auth.json")),
        below("HOME", ".docker/config.json"),
        below("HOME", ".dockercfg"),
    ];
    files.into_iter().flatten().collect()
}

/// containers-certs.d(5), and Docker's directory.
fn cert_dirs(environment: &Environment) -> Vec<PathBuf> {
    let own = environment.xdg("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("containers/certs.d"));
    let system = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
    own.into_iter().chain(system).collect()
}

fn proxies(environment: &Environment) -> Proxies {
    let value = |lower: &str, upper: &str| environment.first(&[lower, upper]).map(str::to_owned);
    Proxies {
        http: value("http_proxy", "HTTP_PROXY"),
        https: value("https_proxy", "HTTPS_PROXY"),
        no_proxy: value("no_proxy", "NO_PROXY"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> RegistryArgs {
        RegistryArgs { retry: 3, retry_delay: "2s".to_owned(), ..RegistryArgs::default() }
    }

    #[test]
    fn credentials_files_are_asked_in_buildahs_order() {
        let environment = Environment::of(&[
            ("REGISTRY_AUTH_FILE", "/1"),
            ("DOCKER_CONFIG", "/2"),
            ("XDG_RUNTIME_DIR", "/3"),
            ("HOME", "/h"),
        ]);
        let settings = settle(&args(), &[], Some("/w/.dockerconfigjson".into()), &environment).unwrap();
        let expected = [
            "/1",
            "/w/.dockerconfigjson",
            "/2/config.json",
            "/3/containers/auth.json",
            "/run/containers/1000/auth.json",
            "/h/.config/containers/auth.json",
            "/h/.docker/config.json",
            "/h/.dockercfg",
        ];
        assert_eq!(settings.credentials.auth_files, expected.map(PathBuf::from));
    }

    #[test]
    fn credentials_of_the_command_line_stay_with_the_registry_pushed_to() {
        let args = RegistryArgs { creds: Some("me:a:b".to_owned()), ..args() };
        let given = |names: &[&str]| {
            let names: Vec<Reference> = names.iter().map(|name| name.parse().unwrap()).collect();
            let settings = settle(&args, &names, None, &Environment::default()).unwrap();
            settings.credentials.explicit.unwrap()
        };
        let explicit = given(&["q.io/a:1", "q.io/a:2"]);
        assert_eq!((explicit.user.as_str(), explicit.password.as_str()), ("me", "a:b"));
        assert_eq!(explicit.registry.as_deref(), Some("q.io"));
        assert_eq!(given(&["q.io/a", "r.io/a"]).registry, None);
        assert_eq!(given(&[]).registry, None);
    }

    #[test]
    fn what_cannot_be_is_refused_without_showing_the_password() {
        let refuse =
            |args: RegistryArgs| settle(&args, &[], None, &Environment::default()).unwrap_err().to_string();
        assert_eq!(
            refuse(RegistryArgs { creds: Some("secret".to_owned()), ..args() }),
            "--creds is not USER:PASSWORD"
        );
        assert_eq!(
            refuse(RegistryArgs { retry_delay: "soon".to_owned(), ..args() }),
            "invalid --retry-delay `soon`: expected a duration such as 2s or 500ms"
        );
        let missing = RegistryArgs { authfile: Some("/no/such/file".into()), ..args() };
        assert_eq!(refuse(missing), "cannot read `/no/such/file`");
    }

    #[test]
    fn verification_is_only_left_out_when_asked() {
        for (flag, expected) in
            [(None, Verify::Required), (Some(true), Verify::Required), (Some(false), Verify::Skipped)]
        {
            let settings =
                settle(&RegistryArgs { tls_verify: flag, ..args() }, &[], None, &Environment::default());
            assert_eq!(settings.unwrap().tls.verify, expected);
        }
    }
}
