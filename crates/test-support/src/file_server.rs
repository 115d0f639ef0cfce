//! A web server with a few files in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::http_server::{HttpServer, Response};

/// A path that was asked for, and the `Authorization` header of who asked.
pub type Asked = (String, Option<String>);

/// A file: its path with a slash in front, headers, content.
pub type Served<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8]);

/// A running server on http. It notes who asks for what.
#[derive(Debug)]
pub struct FileServer {
    server: HttpServer,
    requests: Arc<Mutex<Vec<Asked>>>,
}

impl FileServer {
    /// A server of these files.
    pub fn start(files: &[Served<'_>]) -> Self {
        let files: BTreeMap<String, Response> = files
            .iter()
            .map(|(path, headers, content)| {
                let response = Response::new(200).with_body(*content);
                let response = headers.iter().fold(response, |response, (k, v)| response.with_header(k, *v));
                ((*path).to_owned(), response)
            })
            .collect();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let server = HttpServer::start(None, move |mut exchange| {
            exchange.read_body()?;
            let authorization = exchange.head.header("authorization").map(str::to_owned);
            let path = exchange.head.path().to_owned();
            seen.lock().unwrap_or_else(PoisonError::into_inner).push((path.clone(), authorization));
            let missing = Response::new(404);
            exchange.respond(files.get(&path).unwrap_or(&missing), usize::MAX)
        });
        Self { server, requests }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address())
    }

    /// What was asked for so far.
    pub fn requests(&self) -> Vec<Asked> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
