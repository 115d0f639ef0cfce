//! What goes wrong on the way, and that it is survived or said.

use std::cell::RefCell;
use std::io::{self, Cursor, Read};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use oci::{Descriptor, Digest, MediaType, Reference};
use registry::{Error, Failure, LoginSource, Proxies, PushedBlob, Retry, Settings, Timeouts, TlsSettings};
use test_support::{Challenge, Fault, FaultyRegistry, Recorded};

use crate::{client, layer, logged_in, named, pull, push, settings};

const BLOB: &str = "GET /v2/app/blobs/sha256";
const MANIFEST: &str = "GET /v2/app/manifests/";
const DOCUMENT: &[u8] = br#"{"schemaVersion":2,"config":{},"layers":[]}"#;

/// A blob of several pieces.
fn content() -> Vec<u8> {
    (0..3_000_000_u32).map(|n| (n >> 7) as u8).collect()
}

/// A registry that holds the blob and, under the tag `1`, a manifest; both in the repository `app`.
fn registry() -> (FaultyRegistry, Reference) {
    let registry = FaultyRegistry::start();
    registry.put_blob("app", &content());
    registry.put_manifest("app", "1", MediaType::OCI_MANIFEST, DOCUMENT);
    let reference = named(&registry.host(), "app:1");
    (registry, reference)
}

fn patient(idle: u64) -> Settings {
    let idle = Duration::from_millis(idle);
    Settings { timeouts: Timeouts { connect: idle, idle, commit: idle }, ..settings() }
}

#[test]
fn failures_that_pass_are_tried_again() {
    for fault in [
        Fault::HangUp,
        Fault::status(500, "UNKNOWN"),
        Fault::status(503, "UNAVAILABLE"),
        Fault::too_many_requests(0),
        Fault::Truncate(10),
    ] {
        let (registry, reference) = registry();
        registry.fault(MANIFEST, 3, fault.clone());
        assert_eq!(client(settings()).manifest(&reference).unwrap().bytes, DOCUMENT, "{fault:?}");
        assert_eq!(registry.count(MANIFEST), 4, "{fault:?}");
    }
}

#[test]
fn failures_that_stay_are_reported_after_the_last_attempt() {
    let (registry, reference) = registry();
    registry.fault(MANIFEST, 9, Fault::status(502, "BAD"));
    let error = client(settings()).manifest(&reference).unwrap_err();
    assert!(error.to_string().ends_with("/v2/app/manifests/1: 502 BAD: planned"), "{error}");
    assert_eq!(registry.count(MANIFEST), 4);
}

#[test]
fn failures_that_no_patience_cures_are_not_tried_again() {
    for (status, code) in [(400, "NAME_INVALID"), (403, "DENIED"), (404, "MANIFEST_UNKNOWN"), (507, "FULL")] {
        let (registry, reference) = registry();
        registry.fault(MANIFEST, 9, Fault::status(status, code));
        let error = client(settings()).manifest(&reference).unwrap_err();
        let Error::Refused { refusal, .. } = &error else { panic!("{error:?}") };
        assert_eq!((refusal.status, refusal.code.as_deref()), (status, Some(code)));
        assert_eq!(error.hint().is_some(), status != 400);
        assert_eq!(registry.count(MANIFEST), 1);
    }
}

#[test]
fn retry_after_is_honoured() {
    let (registry, reference) = registry();
    registry.fault(MANIFEST, 1, Fault::too_many_requests(1));
    let start = Instant::now();
    client(settings()).manifest(&reference).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    let (registry, reference) = registry();
    registry.fault(BLOB, 1, Fault::Truncate(1_000_000));
    registry.fault(BLOB, 1, Fault::Truncate(500_000));
    assert!(pull(&client(settings()), &reference, &layer(&content())).unwrap() == content());
    let ranges: Vec<_> =
        registry.requests().iter().filter_map(|request| request.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, ["bytes=1000000-", "bytes=1500000-"]);
}

#[test]
fn a_broken_download_survives_a_registry_without_ranges() {
    let (registry, reference) = registry();
    registry.fault(BLOB, 1, Fault::Truncate(1_000_000));
    registry.fault(BLOB, 1, Fault::IgnoreRange);
    assert!(pull(&client(settings()), &reference, &layer(&content())).unwrap() == content());
}

#[test]
fn a_download_that_breaks_for_ever_ends() {
    let (registry, reference) = registry();
    registry.fault(BLOB, 100, Fault::Truncate(10));
    let error = pull(&client(settings()), &reference, &layer(&content())).unwrap_err();
    assert!(matches!(error, Error::Unreachable { failure: Failure::ConnectionLost, .. }), "{error:?}");
    assert_eq!(registry.count(BLOB), 4);
}

#[test]
fn another_range_than_the_one_asked_for_is_refused() {
    let (registry, reference) = registry();
    registry.fault(BLOB, 1, Fault::Truncate(1_000_000));
    registry.fault(BLOB, 1, Fault::Header("Content-Range", "bytes 0-1999999/3000000".into()));
    let error = pull(&client(settings()), &reference, &layer(&content())).unwrap_err();
    assert!(matches!(error, Error::InvalidAnswer { .. }), "{error:?}");
}

#[test]
fn a_silent_server_is_not_waited_for_without_limit() {
    let (registry, reference) = registry();
    for request in [MANIFEST, BLOB] {
        registry.fault(request, 9, Fault::Stall(Duration::from_secs(3)));
    }
    let settings = Settings { retry: Retry { attempts: 0, delay: Duration::ZERO }, ..patient(300) };
    let client = client(settings);
    let start = Instant::now();
    for error in
        [client.manifest(&reference).unwrap_err(), pull(&client, &reference, &layer(&content())).unwrap_err()]
    {
        assert!(matches!(error, Error::Unreachable { failure: Failure::TimedOut, .. }), "{error:?}");
        assert!(error.hint().is_some());
    }
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_registry_that_takes_its_time_is_waited_for() {
    let (registry, reference) = registry();
    registry.fault(MANIFEST, 1, Fault::Stall(Duration::from_millis(500)));
    client(settings()).manifest(&reference).unwrap();
    assert_eq!(registry.count(MANIFEST), 1);
}

#[test]
fn a_broken_upload_starts_over() {
    for fault in [
        Fault::HangUp,
        Fault::HangUpAfter(1_000_000),
        Fault::status(500, "UNKNOWN"),
        Fault::status(404, "BLOB_UPLOAD_UNKNOWN"),
        Fault::too_many_requests(0),
    ] {
        let registry = FaultyRegistry::start();
        let target = named(&registry.host(), "app");
        registry.fault("PUT /v2/app/blobs/uploads/", 2, fault.clone());
        let pushed = push(&client(settings()), &target, &content(), &[]).unwrap();
        assert_eq!(pushed, PushedBlob::Uploaded, "{fault:?}");
        assert_eq!(registry.count("POST /v2/app/blobs/uploads/"), 3, "{fault:?}");
        assert!(registry.blob("app", &Digest::of(&content())).unwrap() == content());
    }
}

#[test]
fn an_upload_whose_answer_was_lost_is_not_repeated() {
    let registry = FaultyRegistry::start();
    registry.fault("PUT /v2/app/blobs/uploads/", 1, Fault::LoseAnswer);
    let pushed = push(&client(settings()), &named(&registry.host(), "app"), &content(), &[]).unwrap();
    assert_eq!(pushed, PushedBlob::Uploaded);
    assert_eq!(registry.count("PUT "), 1);
}

#[test]
fn progress_falls_back_when_an_upload_starts_over() {
    let registry = FaultyRegistry::start();
    registry.fault("PUT /v2/app/blobs/uploads/", 1, Fault::HangUpAfter(1_000_000));
    let told = RefCell::new(Vec::new());
    let open = || -> io::Result<Box<dyn Read + Send>> { Ok(Box::new(Cursor::new(content()))) };
    let target = named(&registry.host(), "app");
    let progress = |bytes| told.borrow_mut().push(bytes);
    client(settings()).push_blob(&target, &layer(&content()), &[], &open, &progress).unwrap();
    let told = told.into_inner();
    assert!(told.windows(2).any(|pair| pair[0] > 0 && pair[1] == 0), "{told:?}");
    assert_eq!(told.last(), Some(&3_000_000));
}

#[test]
fn uploads_tell_their_length() {
    let registry = FaultyRegistry::start();
    push(&client(settings()), &named(&registry.host(), "app"), &content(), &[]).unwrap();
    let requests = registry.requests();
    let length = |method| {
        let request = requests.iter().find(|request| request.method == method).unwrap();
        (request.header("content-length").map(str::to_owned), request.header("transfer-encoding").is_some())
    };
    assert_eq!(length("PUT"), (Some("3000000".into()), false));
    assert_eq!(length("POST"), (Some("0".into()), false));
}

#[test]
fn a_mount_that_is_not_granted_continues_with_its_upload() {
    let registry = FaultyRegistry::start();
    let pushed = push(&client(settings()), &named(&registry.host(), "app"), b"layer", &["base"]).unwrap();
    assert_eq!(pushed, PushedBlob::Uploaded);
    assert_eq!((registry.count("POST "), registry.count("PUT ")), (1, 1));
}

#[test]
fn a_mount_that_is_refused_falls_back_to_an_upload() {
    for (status, code) in [(401, "UNAUTHORIZED"), (403, "DENIED"), (405, "UNSUPPORTED")] {
        let registry = FaultyRegistry::start();
        registry.fault("POST /v2/app/blobs/uploads/?mount", 1, Fault::status(status, code));
        let pushed = push(&client(settings()), &named(&registry.host(), "app"), b"layer", &["base"]).unwrap();
        assert_eq!(pushed, PushedBlob::Uploaded, "{status}");
    }
}

#[test]
fn uploads_that_are_not_needed_are_cancelled() {
    let registry = FaultyRegistry::start();
    registry.put_blob("second", b"layer");
    let (client, target) = (client(settings()), named(&registry.host(), "app"));
    let pushed = push(&client, &target, b"layer", &["first", "second"]).unwrap();
    assert_eq!((pushed, registry.count("DELETE /v2/app/blobs/uploads/1")), (PushedBlob::Mounted, 1));
    client.check_push_access(&target).unwrap();
    assert_eq!(registry.count("DELETE /v2/app/blobs/uploads/2"), 1);
}

#[test]
fn push_access_that_is_denied_is_told_before_anything_is_sent() {
    let registry = FaultyRegistry::start();
    registry.fault("POST ", 9, Fault::status(403, "DENIED"));
    let error = client(settings()).check_push_access(&named(&registry.host(), "app")).unwrap_err();
    assert!(error.to_string().ends_with("403 DENIED: planned"), "{error}");
    assert!(error.hint().unwrap().contains("may not push to"));
}

#[test]
fn a_blob_that_changes_while_it_is_sent_is_not_pushed() {
    let registry = FaultyRegistry::start();
    let target = named(&registry.host(), "app");
    for read in [b"laxer".to_vec(), b"laye".to_vec(), b"layer and more".to_vec()] {
        let open = || -> io::Result<Box<dyn Read + Send>> { Ok(Box::new(Cursor::new(read.clone()))) };
        let error = client(settings()).push_blob(&target, &layer(b"layer"), &[], &open, &|_| {}).unwrap_err();
        assert!(matches!(error, Error::BlobChanged { .. }), "{error:?}");
        assert!(registry.blob("app", &Digest::of(b"layer")).is_none());
    }
}

#[test]
fn a_blob_that_cannot_be_read_is_said_to_be_ours() {
    let registry = FaultyRegistry::start();
    let open = || -> io::Result<Box<dyn Read + Send>> { Err(io::ErrorKind::PermissionDenied.into()) };
    let target = named(&registry.host(), "app");
    let error = client(settings()).push_blob(&target, &layer(b"layer"), &[], &open, &|_| {}).unwrap_err();
    assert!(matches!(error, Error::ReadBlob { .. }), "{error:?}");
}

#[test]
fn a_token_that_runs_out_on_the_way_is_renewed() {
    let registry = FaultyRegistry::start();
    let realm = format!("http://{}/token", registry.host());
    registry.demand(Challenge::Bearer { realm, expires_in: 300 });
    let (client, target) = (client(logged_in("me", "secret")), named(&registry.host(), "app"));
    push(&client, &target, b"one", &[]).unwrap();
    assert_eq!(registry.count("GET /token"), 1);

    // While a blob is read, between two blobs, and between the start and the end of an upload.
    registry.put_blob("app", &content());
    let mut reader = client.blob(&target, &layer(&content())).unwrap();
    registry.revoke_tokens();
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    push(&client, &target, b"two", &[]).unwrap();
    registry.fault(
        "PUT ",
        1,
        Fault::Answer {
            status: 401,
            headers: vec![("WWW-Authenticate", format!("Bearer realm=\"http://{}/token\"", registry.host()))],
            body: String::new(),
        },
    );
    push(&client, &target, &vec![3; 1_000_000], &[]).unwrap();
    assert_eq!(registry.blob("app", &Digest::of(&vec![3; 1_000_000])).unwrap().len(), 1_000_000);
}

#[test]
fn a_token_is_not_used_beyond_its_lifetime() {
    let (registry, reference) = registry();
    let realm = format!("http://{}/token", registry.host());
    registry.demand(Challenge::Bearer { realm, expires_in: 0 });
    let client = client(settings());
    client.manifest(&reference).unwrap();
    client.manifest(&reference).unwrap();
    assert_eq!(registry.count("GET /token"), 2);
}

#[test]
fn a_token_for_all_eternity_is_taken() {
    let (registry, reference) = registry();
    let realm = format!("http://{}/token", registry.host());
    registry.demand(Challenge::Bearer { realm, expires_in: u64::MAX });
    client(settings()).manifest(&reference).unwrap();
}

#[test]
fn proxies_are_used_but_for_the_hosts_that_are_exempt() {
    let proxy = FaultyRegistry::start();
    let url = Some(format!("http://me:secret@{}", proxy.host()));
    let proxies = Proxies { http: url.clone(), https: url, no_proxy: Some("direct.invalid".into()) };
    let settings = Settings { proxies, retry: Retry { attempts: 0, delay: Duration::ZERO }, ..settings() };
    let client = client(settings.clone());
    let error = client.manifest(&named("far.invalid:5000", "a")).unwrap_err();
    client.manifest(&named("direct.invalid", "a")).unwrap_err();
    let (registry, reference) = registry();
    client.manifest(&reference).unwrap();

    let lines: Vec<_> = proxy.requests().iter().map(Recorded::line).collect();
    assert_eq!(lines[0], "CONNECT far.invalid:5000");
    assert!(lines.iter().all(|line| line.contains("far.invalid")), "{lines:?}");
    assert!(registry.count(MANIFEST) == 1);
    assert!(!format!("{error} {error:?} {settings:?}").contains("secret"));
}

#[test]
fn threads_that_are_refused_together_ask_for_one_token() {
    let (registry, reference) = registry();
    let realm = format!("http://{}/token", registry.host());
    registry.demand(Challenge::Bearer { realm, expires_in: 300 });
    let client = client(settings());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| client.manifest(&reference).unwrap());
        }
    });
    assert_eq!(registry.count("GET /token"), 1);
}

#[test]
fn an_identity_token_is_exchanged() {
    let (registry, reference) = registry();
    let realm = format!("http://{}/token", registry.host());
    registry.demand(Challenge::Bearer { realm, expires_in: 300 });
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut logged_in = settings();
    logged_in.credentials.auth_files = vec![file.path().to_owned()];
    let write = |token: &str| {
        let entry = format!(r#"{{"auths":{{"{}":{{"identitytoken":"{token}"}}}}}}"#, registry.host());
        std::fs::write(file.path(), entry).unwrap();
    };

    write("right+&=");
    client(logged_in.clone()).manifest(&reference).unwrap();
    let request = registry.requests().into_iter().find(|request| request.target == "/token").unwrap();
    assert_eq!(request.method, "POST");
    assert_eq!(
        request.form,
        "grant_type=refresh_token&client_id=builder&refresh_token=right%2B%26%3D&\
         scope=repository%3Aapp%3Apull&service=test"
    );

    write("wrong");
    let error = client(logged_in).manifest(&reference).unwrap_err();
    let source = LoginSource::File(file.path().to_owned());
    assert!(matches!(&error, Error::Unauthorized { login, .. } if **login == source), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("wrong"));
}

#[test]
fn nobody_listening_is_told_with_host_and_port() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let host = format!("127.0.0.1:{port}");
    for tls in [TlsSettings::default(), settings().tls] {
        let error = client(Settings { tls, ..settings() }).manifest(&named(&host, "a")).unwrap_err();
        assert!(matches!(error, Error::Unreachable { failure: Failure::ConnectionRefused, .. }), "{error:?}");
        assert!(error.hint().unwrap().contains(&host));
    }
}

#[test]
fn a_host_without_address_is_told() {
    let error = client(Settings { tls: TlsSettings::default(), ..patient(5000) })
        .manifest(&named("registry.invalid", "a"))
        .unwrap_err();
    let Error::Unreachable { failure, .. } = &error else { panic!("{error:?}") };
    // Which of the two depends on whether this machine has a name server.
    assert!(matches!(failure, Failure::UnknownHost | Failure::NoNameServer), "{error:?}");
    assert!(error.hint().unwrap().contains("`registry.invalid`"));
}

#[test]
fn a_manifest_head_without_headers_is_read_instead() {
    let (registry, reference) = registry();
    registry.fault("HEAD ", 1, Fault::Answer { status: 200, headers: Vec::new(), body: String::new() });
    let head = client(settings()).head_manifest(&reference).unwrap();
    assert_eq!(head, Some(Descriptor::of(MediaType::OCI_MANIFEST, DOCUMENT)));
}
