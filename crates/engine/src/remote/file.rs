//! A file by its URL: mode 0600, and the time that its server gives it (Dockerfile reference, "ADD").

use std::fs::{File, FileTimes, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use containerfile::Source;
use percent_encoding::percent_decode_str;
use registry::{Download, DownloadRequest};
use url::Url;

use super::{Checksum, Remote};
use crate::error::{Cause, Error};
use crate::{Secrets, Shared};

/// Its name where the URL has none.
const UNNAMED: &str = "__unnamed__";
const CHUNK: usize = 256 * 1024;

/// A file in a directory of its own.
#[derive(Debug)]
pub(crate) struct Downloaded {
    pub(crate) dir: PathBuf,
    pub(crate) name: String,
}

impl Shared {
    /// Downloads `url`; what does not have the `checksum` is an error.
    pub(crate) fn download(
        &self,
        url: &Url,
        checksum: Option<&Checksum>,
        secrets: &Secrets,
    ) -> Result<Downloaded, Error> {
        let (mut download, shown) = self.begin(url, secrets)?;
        let dir = self.new_dir("download")?;
        let name = name(url, &download);
        let path = dir.join(&name);
        let failed = |action, source| Error::from(Cause::Io { action, path: path.clone(), source });
        let mut file = File::create_new(&path).map_err(|source| failed("make", source))?;
        self.keep(&mut download, &mut file, &shown, checksum)?;
        let mode = file.set_permissions(Permissions::from_mode(0o600));
        mode.map_err(|source| failed("set the mode of", source))?;
        let seconds = download.last_modified.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0);
        let times = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        file.set_times(times).map_err(|source| failed("set the time of", source))?;
        Ok(Downloaded { dir, name })
    }

    /// The Containerfile at `url`; no more of it is read than one may have.
    pub(crate) fn download_containerfile(&self, url: &Url, secrets: &Secrets) -> Result<Source, Error> {
        let (download, shown) = self.begin(url, secrets)?;
        let mut bytes = Vec::new();
        let mut reader = download.reader.take(Source::MAX_SIZE + 1);
        self.copy(&mut reader, &mut bytes, &|error| read_failed(&shown, error))?;
        let refused = |why| Cause::InvalidArgument { what: "Containerfile", text: shown.clone(), why };
        if bytes.len() as u64 > Source::MAX_SIZE {
            return Err(refused(format!("it is larger than {} bytes", Source::MAX_SIZE)).into());
        }
        if bytes.contains(&0) {
            return Err(refused("it is not a text".to_owned()).into());
        }
        Ok(Source::from_bytes(shown, &bytes))
    }

    /// Asks for `url`; with what messages call it.
    fn begin(&self, url: &Url, secrets: &Secrets) -> Result<(Download, String), Error> {
        let shown = Remote::File(url.clone()).shown();
        let request = DownloadRequest { authorization: authorization(url, secrets) };
        let download = self.registry.download(url, &request);
        let download = download.map_err(|source| Cause::Download { url: shown.clone(), source })?;
        Ok((download, shown))
    }

    fn keep(
        &self,
        download: &mut Download,
        file: &mut File,
        url: &str,
        checksum: Option<&Checksum>,
    ) -> Result<(), Error> {
        let mut check = checksum.map(Checksum::check);
        let mut buffer = vec![0; CHUNK];
        loop {
            self.check_cancelled()?;
            let read = download.reader.read(&mut buffer).map_err(|error| read_failed(url, error))?;
            if read == 0 {
                break;
            }
            if let Some(check) = &mut check {
                check.update(&buffer[..read]);
            }
            file.write_all(&buffer[..read]).map_err(|source| Cause::Io {
                action: "keep what comes from",
                path: url.into(),
                source,
            })?;
        }
        match (check.map(super::checksum::Check::finish), checksum) {
            (Some(Err(found)), Some(wanted)) => {
                Err(Cause::WrongChecksum { url: url.to_owned(), wanted: wanted.to_string(), found }.into())
            }
            _ => Ok(()),
        }
    }
}

/// The name in a destination directory: that in the URL, else what the server says.
fn name(url: &Url, download: &Download) -> String {
    let last = url.path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default();
    let last = percent_decode_str(last).decode_utf8_lossy();
    match &download.file_name {
        _ if !matches!(&*last, "" | "." | "..") && !last.contains(['/', '\0']) => last.into_owned(),
        Some(name) => name.clone(),
        None => UNNAMED.to_owned(),
    }
}

/// What the secrets `HTTP_AUTH_HEADER_host` and `HTTP_AUTH_TOKEN_host` say (BuildKit's names for them).
fn authorization(url: &Url, secrets: &Secrets) -> Option<String> {
    let host = url.host_str()?;
    let secret = |name: &str| {
        let secret = secrets.get(&format!("{name}_{host}"))?;
        Some(String::from_utf8_lossy(secret.bytes()).trim().to_owned())
    };
    secret("HTTP_AUTH_HEADER").or_else(|| secret("HTTP_AUTH_TOKEN").map(|token| format!("Bearer {token}")))
}

fn read_failed(url: &str, error: io::Error) -> Error {
    match error.downcast::<registry::Error>() {
        Ok(source) => Cause::Download { url: url.to_owned(), source }.into(),
        Err(source) => Cause::Io { action: "download", path: url.into(), source }.into(),
    }
}
