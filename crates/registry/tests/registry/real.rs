//! The client against Debian's `docker-registry`: open, with a password, with TLS, with tokens.

use std::cell::Cell;
use std::io::{self, Read};
use std::path::Path;

use oci::{Descriptor, Digest, MediaType, Reference};
use registry::{Client, Credentials, Error, Failure, LoginSource, PushedBlob, Settings, TlsSettings, Verify};
use test_support::{Auth, DockerRegistry, Options, Tls, TokenServer};

use crate::{layer, logged_in, named, pull, push, settings};

fn reference(registry: &DockerRegistry, name: &str) -> Reference {
    named(&registry.host(), name)
}

/// Pushes an image with one layer and pulls it again.
fn round_trip(client: &Client, target: &Reference) -> Result<(), Error> {
    let (config, tar) = (b"{}".as_slice(), vec![7; 300_000]);
    push(client, target, config, &[])?;
    push(client, target, &tar, &[])?;
    let manifest = oci::Manifest::new(Descriptor::of(MediaType::OCI_CONFIG, config), vec![layer(&tar)]);
    let bytes = oci::to_json(&manifest);
    let digest = client.push_manifest(target, &MediaType::OCI_MANIFEST.into(), &bytes)?;
    let fetched = client.manifest(target)?;
    assert_eq!((fetched.descriptor.digest, &fetched.bytes), (digest, &bytes));
    assert_eq!(client.manifest(&target.with_digest(digest))?.bytes, bytes);
    assert_eq!(client.head_manifest(target)?, Some(fetched.descriptor));
    assert_eq!(pull(client, target, &layer(&tar))?, tar);
    Ok(())
}

#[test]
fn an_image_goes_there_and_back() {
    let registry = DockerRegistry::start(Options::default());
    let client = Client::new(settings()).unwrap();
    round_trip(&client, &reference(&registry, "a/b:1")).unwrap();
}

#[test]
fn what_is_not_there_is_said_to_be_missing() {
    let registry = DockerRegistry::start(Options::default());
    let client = Client::new(settings()).unwrap();
    let nowhere = reference(&registry, "a:1");
    assert_eq!(client.head_manifest(&nowhere).unwrap(), None);
    assert!(!client.has_blob(&nowhere, &Digest::of(b"x")).unwrap());
    let error = client.manifest(&nowhere).unwrap_err();
    assert!(error.to_string().contains("/v2/a/manifests/1: 404 MANIFEST_UNKNOWN"), "{error}");
    assert!(error.hint().unwrap().contains("no such tag or repository"));
}

#[test]
fn blobs_the_registry_has_are_not_sent_again() {
    let registry = DockerRegistry::start(Options::default());
    let client = Client::new(settings()).unwrap();
    let (one, two) = (reference(&registry, "one"), reference(&registry, "two"));
    assert_eq!(push(&client, &one, b"layer", &[]).unwrap(), PushedBlob::Uploaded);
    assert_eq!(push(&client, &one, b"layer", &["two"]).unwrap(), PushedBlob::Present);
    assert_eq!(push(&client, &two, b"layer", &["one"]).unwrap(), PushedBlob::Mounted);
    assert_eq!(push(&client, &two, b"other", &["one", "none"]).unwrap(), PushedBlob::Uploaded);
    assert_eq!(pull(&client, &two, &layer(b"other")).unwrap(), b"other");
}

#[test]
fn empty_and_large_blobs_are_exact() {
    let registry = DockerRegistry::start(Options::default());
    let client = Client::new(settings()).unwrap();
    let target = reference(&registry, "a");
    let large: Vec<u8> = (0..20_000_000_u32).map(|n| (n >> 8) as u8).collect();
    for bytes in [&[][..], &large] {
        push(&client, &target, bytes, &[]).unwrap();
        assert!(pull(&client, &target, &layer(bytes)).unwrap() == bytes);
    }
}

#[test]
fn progress_ends_at_the_size_of_the_blob() {
    let registry = DockerRegistry::start(Options::default());
    let client = Client::new(settings()).unwrap();
    let content = vec![1; 1_000_000];
    let (sent, is_monotonic) = (Cell::new(0), Cell::new(true));
    let progress = |bytes| {
        is_monotonic.set(is_monotonic.get() && bytes >= sent.get());
        sent.set(bytes);
    };
    let copy = content.clone();
    let open = || -> io::Result<Box<dyn Read + Send>> { Ok(Box::new(io::Cursor::new(copy.clone()))) };
    let descriptor = layer(&content);
    client.push_blob(&reference(&registry, "a"), &descriptor, &[], &open, &progress).unwrap();
    assert_eq!((sent.get(), is_monotonic.get()), (1_000_000, true));
}

#[test]
fn many_threads_share_a_client() {
    let registry = DockerRegistry::start(Options::default());
    let client = Client::new(Settings { parallel: 2, ..settings() }).unwrap();
    let target = reference(&registry, "a");
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (client, target) = (&client, &target);
            scope.spawn(move || {
                let bytes = vec![n; 500_000];
                push(client, target, &bytes, &[]).unwrap();
                assert!(pull(client, target, &layer(&bytes)).unwrap() == bytes);
            });
        }
    });
}

#[test]
fn a_password_opens_the_registry() {
    let registry =
        DockerRegistry::start(Options { auth: Auth::Htpasswd("me", "se:cret"), ..Options::default() });
    let target = reference(&registry, "a");
    round_trip(&Client::new(logged_in("me", "se:cret")).unwrap(), &target).unwrap();

    let wrong = Client::new(logged_in("me", "wrong")).unwrap().check_push_access(&target).unwrap_err();
    assert!(
        matches!(&wrong, Error::Unauthorized { login, .. } if **login == LoginSource::CommandLine),
        "{wrong:?}"
    );
    assert!(wrong.to_string().ends_with("401 UNAUTHORIZED: authentication required"), "{wrong}");
    assert!(wrong.hint().unwrap().contains("refused the credentials given with --creds"));
}

#[test]
fn files_are_looked_through_until_one_knows_the_registry() {
    let registry =
        DockerRegistry::start(Options { auth: Auth::Htpasswd("me", "secret"), ..Options::default() });
    let target = reference(&registry, "team/app");
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name)
    };
    let absent = dir.path().join("absent.json");
    let other = write("other.json", r#"{"auths":{"q.io":{"auth":"dTpw"}}}"#);
    let helper = write("helper.json", r#"{"auths":{},"credsStore":"desktop"}"#);
    let host = registry.host();
    let right = write(
        "right.json",
        &format!(
            r#"{{"auths":{{"{host}":{{"auth":"d3Jvbmc6d3Jvbmc="}},"{host}/team":{{"username":"me","password":"secret"}}}}}}"#
        ),
    );
    let with = |auth_files| {
        Client::new(Settings { credentials: Credentials { explicit: None, auth_files }, ..settings() })
            .unwrap()
    };
    round_trip(&with(vec![absent.clone(), other.clone(), helper.clone(), right]), &target).unwrap();

    let error = with(vec![absent, other.clone()]).manifest(&target).unwrap_err();
    let hint = error.hint().unwrap();
    assert!(hint.contains("no credentials for") && hint.ends_with("other.json"), "{hint}");
    let error = with(vec![other, helper]).manifest(&target).unwrap_err();
    assert!(error.hint().unwrap().contains("docker-credential-desktop"), "{error:?}");
}

fn trusting(tls: &Tls, dir: &Path, settings: Settings) -> Settings {
    tls.fill_cert_dir(dir);
    let tls = TlsSettings { cert_dir: Some(dir.to_owned()), ..TlsSettings::default() };
    Settings { tls, ..settings }
}

#[test]
fn a_private_ca_is_trusted_from_every_place_it_can_be_named_in() {
    let tls = Tls::generate();
    let registry = DockerRegistry::start(Options { tls: Some(&tls), ..Options::default() });
    let target = reference(&registry, "a");
    let dir = tempfile::tempdir().unwrap();
    let (cert_dir, certs_d) = (dir.path().join("certs"), dir.path().join("certs.d"));
    round_trip(&Client::new(trusting(&tls, &cert_dir, settings())).unwrap(), &target).unwrap();

    tls.fill_cert_dir(&certs_d.join(registry.host()));
    let by_host = TlsSettings { cert_dirs: vec![dir.path().join("none"), certs_d], ..TlsSettings::default() };
    let by_file = TlsSettings { ca_file: Some(tls.ca_file()), ..TlsSettings::default() };
    let by_dir = TlsSettings { ca_dirs: vec![cert_dir], ..TlsSettings::default() };
    let unchecked = TlsSettings { verify: Verify::Skipped, ..TlsSettings::default() };
    for tls in [by_host, by_file, by_dir, unchecked] {
        let client = Client::new(Settings { tls, ..settings() }).unwrap();
        client.check_push_access(&target).unwrap();
    }
}

#[test]
fn an_unknown_ca_is_refused_with_a_cure() {
    let tls = Tls::generate();
    let registry = DockerRegistry::start(Options { tls: Some(&tls), ..Options::default() });
    let client = Client::new(Settings { tls: TlsSettings::default(), ..settings() }).unwrap();
    let error = client.manifest(&reference(&registry, "a")).unwrap_err();
    assert!(matches!(error, Error::Unreachable { failure: Failure::UntrustedCertificate, .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("--cert-dir"));
}

#[test]
fn a_self_signed_certificate_is_trusted_where_it_was_named() {
    let tls = Tls::self_signed();
    let registry = DockerRegistry::start(Options { tls: Some(&tls), ..Options::default() });
    let target = reference(&registry, "a");
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(tls.ca_file(), dir.path().join("ca.crt")).unwrap();
    let named = TlsSettings { cert_dir: Some(dir.path().to_owned()), ..TlsSettings::default() };
    Client::new(Settings { tls: named, ..settings() }).unwrap().check_push_access(&target).unwrap();

    let client = Client::new(Settings { tls: TlsSettings::default(), ..settings() }).unwrap();
    let error = client.check_push_access(&target).unwrap_err();
    assert!(error.hint().unwrap().contains("--cert-dir"), "{error:?}");
}

#[test]
fn certificates_are_checked_for_name_and_time() {
    for (tls, expected) in [
        (Tls::for_name("elsewhere.example"), Failure::CertificateForOtherName),
        (Tls::expired(), Failure::ExpiredCertificate),
    ] {
        let registry = DockerRegistry::start(Options { tls: Some(&tls), ..Options::default() });
        let trusting = TlsSettings { ca_file: Some(tls.ca_file()), ..TlsSettings::default() };
        let client = Client::new(Settings { tls: trusting, ..settings() }).unwrap();
        let error = client.manifest(&reference(&registry, "a")).unwrap_err();
        assert!(matches!(error, Error::Unreachable { failure, .. } if failure == expected), "{error:?}");
    }
}

#[test]
fn unusable_certificate_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let reference = named("localhost:1", "a");
    for (file, text) in [("a.crt", "nonsense"), ("a.key", "x"), ("a.cert", "x")] {
        let path = dir.path().join(file);
        std::fs::write(&path, text).unwrap();
        let tls = TlsSettings { cert_dir: Some(dir.path().to_owned()), ..TlsSettings::default() };
        let error = Client::new(Settings { tls, ..settings() }).unwrap().manifest(&reference).unwrap_err();
        assert!(matches!(&error, Error::Certificates { path: named, .. } if *named == path), "{error:?}");
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn client_certificates_are_shown_where_they_are_wanted() {
    let tls = Tls::generate();
    let options = Options { tls: Some(&tls), client_certificates: true, ..Options::default() };
    let registry = DockerRegistry::start(options);
    let target = reference(&registry, "a");
    let dir = tempfile::tempdir().unwrap();
    round_trip(&Client::new(trusting(&tls, dir.path(), settings())).unwrap(), &target).unwrap();

    let without = TlsSettings { ca_file: Some(tls.ca_file()), ..TlsSettings::default() };
    let error = Client::new(Settings { tls: without, ..settings() }).unwrap().manifest(&target).unwrap_err();
    assert!(matches!(error, Error::Unreachable { failure: Failure::TlsRefused, .. }), "{error:?}");
}

#[test]
fn http_is_spoken_only_when_verification_is_off() {
    let registry = DockerRegistry::start(Options::default());
    let client = Client::new(Settings { tls: TlsSettings::default(), ..settings() }).unwrap();
    let error = client.manifest(&reference(&registry, "a")).unwrap_err();
    assert!(matches!(error, Error::Unreachable { failure: Failure::NotTls, .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("--tls-verify=false"));
}

#[test]
fn tokens_are_fetched_once_for_each_scope() {
    let tokens = TokenServer::start("me", "secret");
    let registry = DockerRegistry::start(Options { auth: Auth::Token(&tokens), ..Options::default() });
    let client = Client::new(logged_in("me", "secret")).unwrap();
    let target = reference(&registry, "team/app");
    round_trip(&client, &target).unwrap();
    round_trip(&client, &target).unwrap();
    let expected = [["repository:team/app:pull,push"], ["repository:team/app:pull"]];
    let expected: Vec<Vec<String>> = expected.map(|scopes| scopes.map(String::from).to_vec()).to_vec();
    assert_eq!(tokens.requested_scopes(), expected);
}

#[test]
fn a_mount_asks_for_the_right_to_pull_from_its_source() {
    let tokens = TokenServer::start("me", "secret");
    let registry = DockerRegistry::start(Options { auth: Auth::Token(&tokens), ..Options::default() });
    let client = Client::new(logged_in("me", "secret")).unwrap();
    push(&client, &reference(&registry, "base"), b"layer", &[]).unwrap();
    let mounted = push(&client, &reference(&registry, "app"), b"layer", &["base"]).unwrap();
    assert_eq!(mounted, PushedBlob::Mounted);
    let wanted: Vec<String> = ["repository:app:pull,push", "repository:base:pull"].map(String::from).to_vec();
    assert!(tokens.requested_scopes().contains(&wanted), "{:?}", tokens.requested_scopes());
}

#[test]
fn a_token_server_that_refuses_says_whose_credentials_were_wrong() {
    let tokens = TokenServer::start("me", "secret");
    let registry = DockerRegistry::start(Options { auth: Auth::Token(&tokens), ..Options::default() });
    let client = Client::new(logged_in("me", "wrong")).unwrap();
    let error = client.manifest(&reference(&registry, "a")).unwrap_err();
    assert!(error.to_string().ends_with("/token: 401: incorrect username or password"), "{error}");
    assert!(matches!(&error, Error::Unauthorized { registry: host, .. } if *host == registry.host()));
}
