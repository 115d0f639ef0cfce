//! Who we are to a registry: credentials, its challenge, and what it grants for them.
//!
//! Knows how to get an `Authorization` header and when it is worn out; does not send requests for content. Start
//! reading at [`Authorizer`].

mod auth_file;
mod authorizer;
mod challenge;
mod credentials;
mod token;

pub(crate) use authorizer::{Asker, Authorizer, Scope};
pub use credentials::{Credentials, ExplicitCredentials, LoginSource};
