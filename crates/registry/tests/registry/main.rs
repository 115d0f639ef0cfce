//! The client against real and misbehaving registries.

mod attacks;
mod downloads;
mod faults;
mod real;

use std::io::{self, Read};
use std::time::Duration;

use oci::{Descriptor, MediaType, Reference};
use registry::{
    Client, Credentials, Error, ExplicitCredentials, PushedBlob, Retry, Settings, TlsSettings, Verify,
};

/// Settings for plain http on the loopback interface that do not wait long.
fn settings() -> Settings {
    Settings {
        retry: Retry { attempts: 3, delay: Duration::from_millis(1) },
        tls: TlsSettings { verify: Verify::Skipped, ..TlsSettings::default() },
        ..Settings::default()
    }
}

fn explicit(registry: Option<&str>, user: &str, password: &str) -> Credentials {
    let registry = registry.map(str::to_owned);
    let given = ExplicitCredentials { registry, user: user.into(), password: password.into() };
    Credentials { explicit: Some(given), auth_files: Vec::new() }
}

fn logged_in(user: &str, password: &str) -> Settings {
    Settings { credentials: explicit(None, user, password), ..settings() }
}

fn client(settings: Settings) -> Client {
    Client::new(settings).expect("a client")
}

fn named(host: &str, name: &str) -> Reference {
    format!("{host}/{name}").parse().expect("a valid name")
}

fn layer(bytes: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::OCI_LAYER, bytes)
}

fn push(client: &Client, target: &Reference, bytes: &[u8], mount_from: &[&str]) -> Result<PushedBlob, Error> {
    let content = bytes.to_vec();
    let open = || -> io::Result<Box<dyn Read + Send>> { Ok(Box::new(io::Cursor::new(content.clone()))) };
    client.push_blob(target, &layer(bytes), mount_from, &open, &|_| {})
}

/// Reads a whole blob; a failure on the way is the client's own error.
fn pull(client: &Client, source: &Reference, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    let read = client.blob(source, descriptor)?.read_to_end(&mut content);
    match read {
        Ok(_) => Ok(content),
        Err(error) => Err(error.downcast().expect("an error of the client")),
    }
}
