//! Messages between the builder and its child processes: a length and JSON. Knows nothing of what they say.

use std::io::{Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::errno::Errno;

/// A step's arguments and environment fit many times (execve(2) takes 6 MiB at most).
const LIMIT: u32 = 64 << 20;

/// Sends one message.
pub(crate) fn send(mut to: impl Write, message: &impl Serialize) -> Result<(), Errno> {
    let body = serde_json::to_vec(message).map_err(|_| Errno::INVAL)?;
    let length = u32::try_from(body.len()).map_err(|_| Errno::INVAL)?;
    let framed = [&length.to_le_bytes(), &body[..]].concat();
    to.write_all(&framed).map_err(Errno::from)
}

/// Waits for one message; none if the other side closed instead.
pub(crate) fn receive<T: DeserializeOwned>(mut from: impl Read) -> Result<Option<T>, Errno> {
    let mut length = [0; 4];
    if from.read_exact(&mut length).is_err() {
        return Ok(None);
    }
    let length = u32::from_le_bytes(length);
    if length > LIMIT {
        return Err(Errno::INVAL);
    }
    let mut body = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut body).map_err(Errno::from)?;
    serde_json::from_slice(&body).map(Some).map_err(|_| Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_whole_or_not_at_all() {
        let mut bytes = Vec::new();
        send(&mut bytes, &"one").unwrap();
        send(&mut bytes, &[1, 2]).unwrap();
        let mut from = &bytes[..];
        assert_eq!(receive::<String>(&mut from).unwrap().as_deref(), Some("one"));
        assert_eq!(receive::<Vec<u8>>(&mut from).unwrap(), Some(vec![1, 2]));
        assert_eq!(receive::<String>(&mut from).unwrap(), None);
        assert_eq!(receive::<String>(&bytes[..5]), Err(Errno::INVAL));
        assert_eq!(receive::<String>(&[255; 9][..]), Err(Errno::INVAL));
    }
}
