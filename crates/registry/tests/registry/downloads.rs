//! Plain files by URL, from servers that are as they should be and from others.

use std::io::Read;

use oci::Digest;
use registry::{Client, DownloadRequest, Error, Failure, Settings, TlsSettings, Url, Verify};
use test_support::{Challenge, Fault, FaultyRegistry, Recorded, Tls};

use crate::{client, settings};

const FILE: &[u8] = b"some file";
const ANY: &str = "GET /";

/// A server with one file, at a link that needs no login, and the link.
fn server() -> (FaultyRegistry, String) {
    let server = FaultyRegistry::start();
    server.put_blob("app", FILE);
    let link = format!("http://{}/storage/app/{}", server.host(), Digest::of(FILE));
    (server, link)
}

/// A client that checks certificates, to which plain http is nothing special.
fn strict() -> Client {
    client(Settings { tls: TlsSettings::default(), ..settings() })
}

fn bearer() -> DownloadRequest {
    DownloadRequest { authorization: Some("Bearer secret".into()) }
}

fn read(client: &Client, url: &str, request: &DownloadRequest) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    let mut download = client.download(&Url::parse(url).expect("a URL"), request)?;
    match download.reader.read_to_end(&mut content) {
        Ok(_) => Ok(content),
        Err(error) => {
            assert!(!matches!(download.reader.read(&mut [0]), Ok(0)), "a broken file has no end");
            Err(error.downcast().expect("an error of the client"))
        }
    }
}

fn shown(server: &FaultyRegistry) -> Vec<Option<String>> {
    let authorization = |request: &Recorded| request.header("authorization").map(str::to_owned);
    server.requests().iter().map(authorization).collect()
}

#[test]
fn a_file_comes_with_its_name_its_date_and_its_length() {
    let (server, link) = server();
    let headers = vec![
        ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT".to_owned()),
        ("Content-Disposition", "attachment; filename=\"tool.txt\"".to_owned()),
        ("ETag", "W/\"7\"".to_owned()),
    ];
    server.fault(ANY, 1, Fault::Answer { status: 200, headers, body: "text".into() });
    let first = strict().download(&Url::parse(&link).unwrap(), &DownloadRequest::default()).unwrap();
    assert_eq!(first.last_modified, Some(784_111_777));
    assert_eq!(first.file_name.as_deref(), Some("tool.txt"));
    assert_eq!((first.length, first.etag.as_deref()), (Some(4), Some("W/\"7\"")));
    let second = strict().download(&Url::parse(&link).unwrap(), &DownloadRequest::default()).unwrap();
    assert_eq!(second.file_name.unwrap(), Digest::of(FILE).to_string());
    assert_eq!((second.length, second.last_modified), (Some(9), None));
    assert_eq!(read(&strict(), &link, &DownloadRequest::default()).unwrap(), FILE);
}

#[test]
fn secrets_go_to_the_host_of_the_url_and_no_further() {
    let ((first, _), (second, link)) = (server(), server());
    let url = format!("http://{}/file", first.host());
    first.fault(ANY, 1, Fault::redirect("/moved"));
    first.fault(ANY, 1, Fault::redirect(link));
    assert_eq!(read(&strict(), &url, &bearer()).unwrap(), FILE);
    assert_eq!(shown(&first), [Some("Bearer secret".to_owned()), Some("Bearer secret".to_owned())]);
    assert_eq!(shown(&second), [None]);
}

#[test]
fn a_login_in_the_url_is_used_and_never_shown() {
    let (server, _) = server();
    server.demand(Challenge::Basic("me", "p@ss"));
    let path = format!("{}/v2/app/blobs/{}", server.host(), Digest::of(FILE));
    assert_eq!(
        read(&strict(), &format!("http://me:p%40ss@{path}"), &DownloadRequest::default()).unwrap(),
        FILE
    );
    let wrong = format!("http://me:secret@{path}?token=secret");
    let error = read(&strict(), &wrong, &DownloadRequest::default()).unwrap_err();
    assert!(matches!(&error, Error::FileRefused { refusal, .. } if refusal.status == 401), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    assert!(error.hint().unwrap().contains("HTTP_AUTH_TOKEN_127.0.0.1"), "{:?}", error.hint());
}

#[test]
fn credentials_of_registries_are_not_for_files() {
    let (server, link) = server();
    read(&client(crate::logged_in("me", "secret")), &link, &DownloadRequest::default()).unwrap();
    assert_eq!(shown(&server), [None]);
}

#[test]
fn a_broken_connection_is_taken_up_where_it_broke() {
    let (server, link) = server();
    server.fault(ANY, 1, Fault::HangUp);
    server.fault(ANY, 1, Fault::Truncate(4));
    server.fault(ANY, 1, Fault::Truncate(2));
    assert_eq!(read(&strict(), &link, &DownloadRequest::default()).unwrap(), FILE);
    let ranges: Vec<_> = server.requests().iter().map(|r| r.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, [None, None, Some("bytes=4-".to_owned()), Some("bytes=6-".to_owned())]);
}

#[test]
fn a_short_file_is_an_error() {
    let (server, link) = server();
    server.fault(ANY, 9, Fault::Truncate(0));
    let error = read(&strict(), &link, &DownloadRequest::default()).unwrap_err();
    assert!(matches!(error, Error::Unreachable { failure: Failure::ConnectionLost, .. }), "{error:?}");
    assert_eq!(server.count(ANY), 4, "one attempt and three more");
}

#[test]
fn a_file_that_changed_in_between_is_an_error() {
    let (server, link) = server();
    server.fault(ANY, 1, Fault::Truncate(4));
    server.fault(ANY, 1, Fault::IgnoreRange);
    let error = read(&strict(), &link, &DownloadRequest::default()).unwrap_err();
    assert!(error.to_string().ends_with("the file changed while it was read"), "{error}");
}

#[test]
fn servers_in_trouble_are_asked_again_and_missing_files_are_not() {
    let (server, link) = server();
    server.fault(ANY, 1, Fault::status(503, "BUSY"));
    assert_eq!(read(&strict(), &link, &DownloadRequest::default()).unwrap(), FILE);
    server.fault(ANY, 1, Fault::Answer { status: 404, headers: vec![], body: "<html>".into() });
    let error = read(&strict(), &format!("{link}?signature=1"), &DownloadRequest::default()).unwrap_err();
    assert_eq!(error.to_string(), format!("GET {link}: 404 Not Found"));
    assert_eq!(server.count(ANY), 3);
}

#[test]
fn redirects_lead_neither_around_nor_elsewhere() {
    for (location, problem) in [
        ("/again", "too many redirects"),
        ("file:///etc/passwd", "it is neither http nor https"),
        ("http://me:secret@127.0.0.1/", "it holds a user name"),
    ] {
        let (server, link) = server();
        server.fault(ANY, 9, Fault::redirect(location));
        let error = read(&strict(), &link, &DownloadRequest::default()).unwrap_err();
        assert!(
            matches!(&error, Error::FileRedirect { problem: found, .. } if *found == problem),
            "{error:?}"
        );
        assert!(!error.to_string().contains("secret"));
    }
    let error = read(&strict(), "ftp://h/f", &DownloadRequest::default()).unwrap_err();
    assert_eq!(error.to_string(), "cannot download from ftp://h/f: it is neither http nor https");
}

#[test]
fn https_is_checked_and_never_left() {
    let tls = Tls::generate();
    let (server, (_, plain)) = (FaultyRegistry::start_tls(&tls), server());
    server.put_blob("app", FILE);
    let link = format!("https://{}/storage/app/{}", server.host(), Digest::of(FILE));
    let error = read(&strict(), &link, &DownloadRequest::default()).unwrap_err();
    assert!(matches!(error, Error::Unreachable { failure: Failure::UntrustedCertificate, .. }), "{error:?}");
    for verify in [Verify::Required, Verify::Skipped] {
        let trust = TlsSettings { ca_file: Some(tls.ca_file()), verify, ..TlsSettings::default() };
        let trusting = client(Settings { tls: trust, ..settings() });
        assert_eq!(read(&trusting, &link, &DownloadRequest::default()).unwrap(), FILE);
        server.fault(ANY, 1, Fault::redirect(&plain));
        let error = read(&trusting, &link, &DownloadRequest::default()).unwrap_err();
        assert!(error.to_string().ends_with("it leaves https"), "{error}");
    }
}
