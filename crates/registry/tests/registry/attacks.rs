//! Registries that lie: credentials stay where they belong, and nothing unchecked comes in.

use std::collections::BTreeSet;
use std::io::Read;

use oci::{Descriptor, Digest, MediaType, Reference};
use registry::{Credentials, Error, Failure, Settings, TlsSettings, Verify};
use test_support::{Challenge, Fault, FaultyRegistry, Tls};

use crate::{client, explicit, layer, logged_in, named, pull, push, settings};

const BLOB: &str = "GET /v2/app/blobs/";
const MANIFEST: &str = "GET /v2/app/manifests/";
const LAYER: &[u8] = b"some layer";
const DOCUMENT: &[u8] = br#"{"schemaVersion":2,"config":{},"layers":[]}"#;

fn registry() -> (FaultyRegistry, Reference) {
    let registry = FaultyRegistry::start();
    registry.put_blob("app", LAYER);
    registry.put_manifest("app", "1", MediaType::OCI_MANIFEST, DOCUMENT);
    let reference = named(&registry.host(), "app:1");
    (registry, reference)
}

/// Whether any request showed any credential.
fn saw_credentials(registry: &FaultyRegistry) -> bool {
    registry.requests().iter().any(|request| request.header("authorization").is_some())
}

#[test]
fn a_redirect_to_another_host_takes_no_credentials_along() {
    let (registry, reference) = registry();
    let storage = FaultyRegistry::start();
    storage.put_blob("app", LAYER);
    registry.demand(Challenge::Basic("me", "secret"));
    let link = format!("http://{}/storage/app/{}?signature=1", storage.host(), Digest::of(LAYER));
    let client = client(logged_in("me", "secret"));
    // The first answer is the challenge; after it the registry redirects.
    client.manifest(&reference).unwrap();
    registry.fault(BLOB, 1, Fault::redirect(link));
    assert!(!client.has_blob(&reference, &Digest::of(b"x")).unwrap());
    assert_eq!(pull(&client, &reference, &layer(LAYER)).unwrap(), LAYER);
    assert!(saw_credentials(&registry) && !saw_credentials(&storage));
    assert_eq!(storage.count("GET /storage/"), 1);
}

#[test]
fn a_redirected_host_that_asks_for_credentials_gets_none() {
    let (registry, reference) = registry();
    let evil = FaultyRegistry::start();
    evil.demand(Challenge::Basic("me", "secret"));
    registry.fault(BLOB, 9, Fault::redirect(format!("http://{}/v2/app/blobs/x", evil.host())));
    let error = pull(&client(logged_in("me", "secret")), &reference, &layer(LAYER)).unwrap_err();
    assert!(matches!(&error, Error::Refused { refusal, .. } if refusal.status == 401), "{error:?}");
    assert!(!saw_credentials(&evil));
}

#[test]
fn an_upload_location_on_another_host_gets_no_credentials() {
    let (registry, reference) = registry();
    let storage = FaultyRegistry::start();
    registry.demand(Challenge::Basic("me", "secret"));
    let client = client(logged_in("me", "secret"));
    client.manifest(&reference).unwrap();
    let location = format!("http://{}/v2/app/blobs/uploads/7?state=1", storage.host());
    let headers = vec![("Location", location)];
    registry.fault("POST ", 1, Fault::status(401, "UNAUTHORIZED"));
    registry.fault("POST ", 1, Fault::Answer { status: 202, headers, body: String::new() });
    // The planned 401 names no scheme, so nothing can be shown for it; the next push meets the location.
    push(&client, &reference, b"new", &[]).unwrap_err();
    push(&client, &reference, b"new", &[]).unwrap();
    assert_eq!(storage.count("PUT /v2/app/blobs/uploads/7?state=1&digest=sha256%3A"), 1);
    assert!(!saw_credentials(&storage));
}

#[test]
fn credentials_go_only_to_the_registry_they_are_for() {
    let (ours, theirs) = (registry(), registry());
    for registry in [&ours.0, &theirs.0] {
        registry.demand(Challenge::Basic("me", "secret"));
    }
    let host = ours.0.host();
    let file = tempfile::NamedTempFile::new().unwrap();
    let entry = r#"{"username":"me","password":"secret"}"#;
    std::fs::write(file.path(), format!(r#"{{"auths":{{"{host}":{entry},"{host}.evil":{entry}}}}}"#))
        .unwrap();
    let from_file = Credentials { explicit: None, auth_files: vec![file.path().to_owned()] };
    for credentials in [from_file, explicit(Some(&host), "me", "secret")] {
        let client = client(Settings { credentials, ..settings() });
        client.manifest(&ours.1).unwrap();
        client.manifest(&theirs.1).unwrap_err();
    }
    assert!(saw_credentials(&ours.0) && !saw_credentials(&theirs.0));
}

#[test]
fn a_realm_that_leaves_https_or_points_inside_is_refused() {
    let tls = Tls::generate();
    let registry = FaultyRegistry::start_tls(&tls);
    let evil = FaultyRegistry::start();
    let trusting = TlsSettings { ca_file: Some(tls.ca_file()), ..TlsSettings::default() };
    let settings = Settings { tls: trusting, ..logged_in("me", "secret") };
    for realm in [
        format!("http://{}/token", evil.host()),
        "https://169.254.169.254/token".to_owned(),
        format!("https://me@{}/token", registry.host()),
        "file:///etc/passwd".to_owned(),
        "not a url".to_owned(),
    ] {
        registry.demand(Challenge::Bearer { realm: realm.clone(), expires_in: 300 });
        let error = client(settings.clone()).manifest(&named(&registry.host(), "app:1")).unwrap_err();
        let is_refused = matches!(error, Error::UnsafeLocation { .. } | Error::InvalidAnswer { .. });
        assert!(is_refused, "{realm}: {error:?}");
    }
    assert!(evil.requests().is_empty() && !saw_credentials(&registry));
}

#[test]
fn a_token_server_cannot_pass_credentials_on() {
    let (registry, reference) = registry();
    let evil = FaultyRegistry::start();
    let realm = format!("http://{}/token", registry.host());
    registry.demand(Challenge::Bearer { realm, expires_in: 300 });
    registry.fault("GET /token", 9, Fault::redirect(format!("http://{}/token", evil.host())));
    client(logged_in("me", "secret")).manifest(&reference).unwrap_err();
    assert!(evil.requests().is_empty());
}

#[test]
fn servers_cannot_send_us_to_places_inside() {
    let (registry, reference) = registry();
    for location in [
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "http://user:pass@127.0.0.1/",
        "gopher://127.0.0.1/",
    ] {
        registry.fault(BLOB, 1, Fault::redirect(location));
        let error = pull(&client(settings()), &reference, &layer(LAYER)).unwrap_err();
        assert!(matches!(error, Error::UnsafeLocation { .. }), "{location}: {error:?}");
        assert!(!error.to_string().contains("pass"), "{error}");
    }
}

#[test]
fn a_redirect_loop_ends() {
    let (registry, reference) = registry();
    registry.fault(BLOB, 100, Fault::redirect(format!("/v2/app/blobs/{}", Digest::of(LAYER))));
    let error = pull(&client(settings()), &reference, &layer(LAYER)).unwrap_err();
    assert!(error.to_string().ends_with("too many redirects"), "{error}");
    assert_eq!(registry.count(BLOB), 6);
}

#[test]
fn urls_of_a_descriptor_are_never_followed() {
    let (registry, reference) = registry();
    let evil = FaultyRegistry::start();
    let mut foreign = layer(b"foreign");
    let url = format!("http://{}/storage/app/{}", evil.host(), foreign.digest);
    foreign.other.insert("urls".into(), vec![url].into());
    let error = pull(&client(settings()), &reference, &foreign).unwrap_err();
    assert!(matches!(&error, Error::Refused { refusal, .. } if refusal.status == 404), "{error:?}");
    assert!(evil.requests().is_empty() && registry.count(BLOB) == 1);
}

#[test]
fn wrong_content_never_comes_out_whole() {
    let (registry, reference) = registry();
    let client = client(settings());
    registry.fault(BLOB, 1, Fault::Corrupt);
    let mut content = Vec::new();
    let mut reader = client.blob(&reference, &layer(LAYER)).unwrap();
    let first = reader.read_to_end(&mut content).unwrap_err();
    assert!(first.get_ref().unwrap().downcast_ref::<Error>().unwrap().hint().is_some());
    assert!(content.len() < LAYER.len());
    // A reader that is asked again after its error does not pretend that all is well.
    reader.read(&mut [0; 10]).unwrap_err();
}

#[test]
fn sizes_must_be_those_of_the_descriptor() {
    let (registry, reference) = registry();
    for size in [0, 1, LAYER.len() as u64 - 1, LAYER.len() as u64 + 1, u64::MAX] {
        let wrong = Descriptor::new(MediaType::OCI_LAYER, Digest::of(LAYER), size);
        let error = pull(&client(settings()), &reference, &wrong).unwrap_err();
        assert!(matches!(error, Error::SizeMismatch { .. }), "{size}: {error:?}");
    }
    assert_eq!(registry.count(BLOB), 5);
}

#[test]
fn a_blob_longer_than_promised_is_cut_off() {
    let (registry, reference) = registry();
    registry.fault(BLOB, 1, Fault::ReplaceWithoutLength([LAYER, b"!"].concat()));
    let error = pull(&client(settings()), &reference, &layer(LAYER)).unwrap_err();
    assert!(matches!(error, Error::SizeMismatch { .. }), "{error:?}");
}

#[test]
fn manifests_are_checked_against_every_digest_there_is() {
    let (registry, reference) = registry();
    let client = client(settings());
    let pinned = reference.with_digest(Digest::of(DOCUMENT));
    let other = Digest::of(b"other").to_string();

    registry.fault(MANIFEST, 1, Fault::Header("Docker-Content-Digest", other.clone()));
    assert!(matches!(client.manifest(&reference), Err(Error::DigestMismatch { .. })));
    registry.fault(MANIFEST, 1, Fault::Replace(DOCUMENT.to_ascii_uppercase()));
    assert!(matches!(client.manifest(&pinned), Err(Error::DigestMismatch { .. })));
    registry.fault("HEAD ", 1, Fault::Header("Docker-Content-Digest", other.clone()));
    assert!(matches!(client.head_manifest(&pinned), Err(Error::DigestMismatch { .. })));
    for text in ["sha256:../../x", "sha256:abc", "sha512:abc", &other.to_uppercase()] {
        registry.fault(MANIFEST, 1, Fault::Header("Docker-Content-Digest", text.to_owned()));
        assert!(matches!(client.manifest(&reference), Err(Error::InvalidAnswer { .. })), "{text}");
    }
    client.manifest(&pinned).unwrap();
}

#[test]
fn a_registry_that_stores_something_else_is_found_out() {
    let (registry, reference) = registry();
    let client = client(settings());
    for request in ["PUT /v2/app/manifests/", "PUT /v2/app/blobs/"] {
        registry.fault(request, 1, Fault::Header("Docker-Content-Digest", Digest::of(b"x").to_string()));
    }
    let pushed = client.push_manifest(&reference, &MediaType::OCI_MANIFEST.into(), DOCUMENT);
    assert!(matches!(pushed, Err(Error::DigestMismatch { .. })), "{pushed:?}");
    let pushed = push(&client, &reference, b"new", &[]);
    assert!(matches!(pushed, Err(Error::DigestMismatch { .. })), "{pushed:?}");
}

#[test]
fn documents_of_any_size_and_shape_are_survived() {
    let (registry, reference) = registry();
    let client = client(settings());
    registry.put_manifest("app", "large", MediaType::OCI_MANIFEST, &vec![b' '; 5 << 20]);
    registry.put_manifest("app", "old", "application/vnd.docker.distribution.manifest.v1+prettyjws", b"{}");
    registry.put_manifest("app", "text", MediaType::OCI_MANIFEST, b"<html>");
    registry.put_manifest("app", "index", MediaType::OCI_MANIFEST, br#"{"manifests":[]}"#);
    registry.put_manifest("app", "twice", MediaType::OCI_INDEX, br#"{"manifests":[],"manifests":[]}"#);
    let tagged = |tag: &str| client.manifest(&named(&registry.host(), &format!("app:{tag}"))).unwrap_err();
    assert!(matches!(tagged("large"), Error::TooLarge { .. }));
    assert!(matches!(tagged("old"), Error::UnsupportedManifest { .. }));
    for tag in ["text", "index", "twice"] {
        assert!(matches!(tagged(tag), Error::InvalidAnswer { .. }), "{tag}");
    }

    let body = "x".repeat(1 << 20);
    registry.fault(MANIFEST, 1, Fault::Answer { status: 403, headers: Vec::new(), body });
    let error = client.manifest(&reference).unwrap_err();
    assert!(error.to_string().ends_with("403 Forbidden"), "{error}");
}

#[test]
fn an_exemption_from_verification_is_for_one_host() {
    let tls = Tls::generate();
    let (exempt, other) = (FaultyRegistry::start_tls(&tls), FaultyRegistry::start_tls(&tls));
    for registry in [&exempt, &other] {
        registry.put_blob("app", LAYER);
        registry.put_manifest("app", "1", MediaType::OCI_MANIFEST, DOCUMENT);
    }
    let verify = Verify::SkippedFor(BTreeSet::from([exempt.host()]));
    let tls = TlsSettings { verify, ..TlsSettings::default() };
    let client = client(Settings { tls, ..logged_in("me", "secret") });
    let is_untrusted =
        |error: &Error| matches!(error, Error::Unreachable { failure: Failure::UntrustedCertificate, .. });
    client.manifest(&named(&exempt.host(), "app:1")).unwrap();
    let error = client.manifest(&named(&other.host(), "app:1")).unwrap_err();
    assert!(is_untrusted(&error), "{error:?}");

    // Neither as a redirect's target nor as a token server is the other one exempt.
    exempt.fault(BLOB, 9, Fault::redirect(format!("https://{}/storage/app/x", other.host())));
    let error = pull(&client, &named(&exempt.host(), "app"), &layer(LAYER)).unwrap_err();
    assert!(is_untrusted(&error), "{error:?}");
    exempt.demand(Challenge::Bearer { realm: format!("https://{}/token", other.host()), expires_in: 9 });
    let error = client.manifest(&named(&exempt.host(), "app:1")).unwrap_err();
    assert!(is_untrusted(&error), "{error:?}");
    assert!(other.requests().is_empty());
}

#[test]
fn the_change_to_http_is_made_without_credentials() {
    let (registry, reference) = registry();
    client(logged_in("me", "secret")).manifest(&reference).unwrap();
    let first = &registry.requests()[0];
    assert_eq!((first.line().as_str(), first.header("authorization")), ("GET /v2/", None));

    let strict = Settings { tls: TlsSettings::default(), ..logged_in("me", "secret") };
    let error = client(strict).manifest(&reference).unwrap_err();
    assert!(matches!(error, Error::Unreachable { failure: Failure::NotTls, .. }), "{error:?}");
    assert!(!saw_credentials(&registry));
}

#[test]
fn errors_and_settings_show_no_secret() {
    let (registry, reference) = registry();
    registry.demand(Challenge::Basic("me", "other"));
    let settings = logged_in("me", "hunter2");
    let client = client(settings.clone());
    let error = client.manifest(&reference).unwrap_err();
    registry.demand(Challenge::None);
    registry.fault("PUT ", 9, Fault::status(400, "DIGEST_INVALID"));
    let upload = push(&client, &reference, b"new", &[]).unwrap_err();
    for text in
        [format!("{error} {error:?}"), format!("{upload} {upload:?}"), format!("{settings:?} {client:?}")]
    {
        assert!(
            !text.contains("hunter2") && !text.contains("aHVudGVyMg") && !text.contains("_state"),
            "{text}"
        );
    }
}
