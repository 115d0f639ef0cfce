//! An HTTP/1.1 server in a few lines, on threads and without a library, so that a test owns every byte it sends.
//!
//! One request a connection. The handler sees the head before the body is read and may answer, answer half, or
//! hang up. It knows nothing of registries.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// No test waits longer than this for the other side.
const PATIENCE: Duration = Duration::from_secs(20);

/// The first byte of a TLS record with a `ClientHello` (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// The request line and the headers.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// Path and query as they stood in the request line.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The percent-decoded values of one query key.
    pub(crate) fn query(&self, key: &str) -> Vec<String> {
        form(self.target.split_once('?').map_or("", |(_, query)| query), key)
    }
}

/// The percent-decoded values of `key` in `application/x-www-form-urlencoded` text.
pub(crate) fn form(text: &str, key: &str) -> Vec<String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| *name == key).map(|(_, value)| percent_decoded(value)).collect()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap_or_default(), rest.next().unwrap_or_default()];
                let digits = str::from_utf8(&digits).unwrap_or_default();
                u8::from_str_radix(digits, 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What goes back.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the head tells the body's length; else it ends with the connection.
    pub(crate) tells_length: bool,
}

impl Response {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), tells_length: true }
    }

    pub(crate) fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// One accepted connection whose head has been read.
pub(crate) struct Exchange {
    pub(crate) head: Head,
    stream: BufReader<Box<dyn Stream>>,
}

impl Exchange {
    /// Reads the whole body, by its length or in chunks.
    pub(crate) fn read_body(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if self.head.header("transfer-encoding") == Some("chunked") {
            loop {
                let line = read_line(&mut self.stream)?;
                let length = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
                (&mut self.stream).take(length).read_to_end(&mut body)?;
                read_line(&mut self.stream)?;
                if length == 0 {
                    return Ok(body);
                }
            }
        }
        let length = self.head.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        (&mut self.stream).take(length).read_to_end(&mut body)?;
        Ok(body)
    }

    /// Reads `length` bytes of the body and forgets them.
    pub(crate) fn skip_body(&mut self, length: u64) -> io::Result<()> {
        io::copy(&mut (&mut self.stream).take(length), &mut io::sink()).map(drop)
    }

    /// Answers, but sends only the first `limit` bytes of the body that the head promises.
    pub(crate) fn respond(mut self, response: &Response, limit: usize) -> io::Result<()> {
        let mut headers = response.headers.clone();
        if response.tells_length {
            headers.push(("Content-Length".to_owned(), response.body.len().to_string()));
        }
        let lines: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let lines = lines.concat();
        let text = format!("HTTP/1.1 {} x\r\nConnection: close\r\n{lines}\r\n", response.status);
        let stream = self.stream.get_mut();
        stream.write_all(text.as_bytes())?;
        if self.head.method != "HEAD" {
            stream.write_all(&response.body[..response.body.len().min(limit)])?;
        }
        stream.flush()
    }
}

fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    stream.take(64 << 10).read_line(&mut line)?;
    Ok(line)
}

fn read_head(stream: &mut impl BufRead) -> io::Result<Option<Head>> {
    let line = read_line(stream)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let mut head = Head { method: method.to_owned(), target: target.to_owned(), headers: Vec::new() };
    loop {
        let line = read_line(stream)?;
        let Some((name, value)) = line.split_once(':') else { return Ok(Some(head)) };
        head.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

/// A listening server; it stops accepting when dropped.
#[derive(Debug)]
pub(crate) struct HttpServer {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl HttpServer {
    /// Serves on a free port of 127.0.0.1, each connection on a thread of its own.
    pub(crate) fn start(
        tls: Option<Arc<ServerConfig>>,
        handler: impl Fn(Exchange) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("the address of a bound socket");
        let stopped = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stopped);
        let handler = Arc::new(handler);
        thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                if flag.load(Ordering::SeqCst) {
                    return;
                }
                let (handler, tls) = (Arc::clone(&handler), tls.clone());
                // A client that hangs up, or does not trust us, is what many tests are about.
                thread::spawn(move || drop(serve(socket, tls, handler.as_ref())));
            }
        });
        Self { address, stopped }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes `accept`, which then sees the flag.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(
    socket: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    handler: &dyn Fn(Exchange) -> io::Result<()>,
) -> io::Result<()> {
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let stream: Box<dyn Stream> = match tls {
        None => Box::new(socket),
        Some(config) => {
            let session = ServerConnection::new(config).map_err(io::Error::other)?;
            Box::new(StreamOwned::new(session, socket))
        }
    };
    let mut stream = BufReader::new(stream);
    if stream.fill_buf()?.first() == Some(&TLS_HANDSHAKE) {
        // What servers of plain http say to a client that begins with TLS.
        return stream
            .get_mut()
            .write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nTLS request to an HTTP server\n");
    }
    match read_head(&mut stream)? {
        Some(head) => handler(Exchange { head, stream }),
        None => Ok(()),
    }
}
