//! The agent's side of the protocol: lists keys and signs, and refuses everything else.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use super::fields::{Fields, put_string};
use super::key::Key;

/// Message numbers of draft-ietf-sshm-ssh-agent, section 6.1.
const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// The largest message that OpenSSH's agent takes.
const LIMIT: u32 = 256 << 10;

/// A user may have to touch a token before it signs.
const PATIENCE: Duration = Duration::from_mins(1);

/// Whoever has the keys.
pub(super) trait Backend {
    /// The answer to a message that lists keys or asks for a signature.
    fn answer(&mut self, request: &[u8]) -> io::Result<Vec<u8>>;
}

/// Answers what comes in on `stream` until it ends or is no message.
pub(super) fn serve<S>(backend: &mut dyn Backend, stream: &S)
where
    for<'s> &'s S: Read + Write,
{
    while let Ok(request) = receive(&mut &*stream) {
        let allowed = matches!(request.first(), Some(&REQUEST_IDENTITIES | &SIGN_REQUEST));
        let answer = if allowed { backend.answer(&request).ok() } else { None };
        if send(&mut &*stream, &answer.unwrap_or_else(|| vec![FAILURE])).is_err() {
            return;
        }
    }
}

fn receive(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length == 0 || length > LIMIT {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = Vec::new();
    if from.take(u64::from(length)).read_to_end(&mut message)? < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(message)
}

fn send(to: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let mut framed = Vec::new();
    put_string(&mut framed, message);
    to.write_all(&framed)
}

/// The user's own agent.
pub(super) struct Upstream(Box<dyn Duplex>);

trait Duplex: Read + Write {}
impl<T: Read + Write> Duplex for T {}

impl Upstream {
    pub(super) fn connect(path: &Path) -> io::Result<Self> {
        Ok(Self(Box::new(sandbox::connect_socket(path, PATIENCE)?)))
    }
}

impl Backend for Upstream {
    fn answer(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
        send(&mut self.0, request)?;
        receive(&mut self.0)
    }
}

/// Keys from files.
pub(super) struct Keys<'a>(pub(super) &'a [Key]);

impl Backend for Keys<'_> {
    fn answer(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut fields = Fields(request);
        let answer = match fields.byte() {
            Some(REQUEST_IDENTITIES) => Some(self.list()),
            _ => self.sign(fields),
        };
        answer.ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

impl Keys<'_> {
    fn list(&self) -> Vec<u8> {
        let mut answer = vec![IDENTITIES_ANSWER];
        answer.extend((self.0.len() as u32).to_be_bytes());
        for key in self.0 {
            put_string(&mut answer, key.public());
            put_string(&mut answer, key.comment.as_bytes());
        }
        answer
    }

    fn sign(&self, mut request: Fields<'_>) -> Option<Vec<u8>> {
        let (public, data, flags) = (request.string()?, request.string()?, request.number()?);
        let key = self.0.iter().find(|key| key.public() == public)?;
        let mut answer = vec![SIGN_RESPONSE];
        put_string(&mut answer, &key.sign(data, flags)?);
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    struct Echo;

    impl Backend for Echo {
        fn answer(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
            Ok(request.to_vec())
        }
    }

    fn ask(message: &[u8]) -> io::Result<Vec<u8>> {
        let (ours, theirs) = UnixStream::pair()?;
        std::thread::scope(|scope| {
            scope.spawn(move || serve(&mut Echo, &theirs));
            let mut ours = ours;
            ours.write_all(message)?;
            receive(&mut ours)
        })
    }

    #[test]
    fn only_listing_and_signing_get_through() {
        assert_eq!(ask(&[0, 0, 0, 1, REQUEST_IDENTITIES]).unwrap(), [REQUEST_IDENTITIES]);
        assert_eq!(ask(&[0, 0, 0, 2, SIGN_REQUEST, 7]).unwrap(), [SIGN_REQUEST, 7]);
        // ADD_IDENTITY, REMOVE_IDENTITY, REMOVE_ALL, ADD_SMARTCARD, LOCK, UNLOCK, EXTENSION.
        for number in [17, 18, 19, 20, 22, 23, 27, 0, 255] {
            assert_eq!(ask(&[0, 0, 0, 1, number]).unwrap(), [FAILURE], "{number}");
        }
    }

    #[test]
    fn what_is_no_message_ends_the_connection() {
        assert!(ask(&[0, 0, 0, 0]).is_err());
        assert!(ask(&[255; 8]).is_err());
    }
}
