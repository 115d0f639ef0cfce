//! What an exported image is called in its index.

use oci::Reference;

use crate::Error;

/// The name of an image in an image layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    ref_name: String,
    image_name: Option<String>,
}

impl Name {
    /// A name as in `oci:DIR:NAME`, by the grammar of the image specification (`annotations.md`, `ref.name`).
    pub fn new(name: &str) -> Result<Self, Error> {
        if name.split('/').all(is_component) {
            Ok(Self { ref_name: name.to_owned(), image_name: None })
        } else {
            Err(Error::RefName { name: name.to_owned() })
        }
    }

    /// The value of `org.opencontainers.image.ref.name`.
    pub fn ref_name(&self) -> &str {
        &self.ref_name
    }

    /// The value of `io.containerd.image.name`: the full reference.
    pub fn image_name(&self) -> Option<&str> {
        self.image_name.as_deref()
    }
}

impl From<&Reference> for Name {
    /// The tag as `ref.name` and the whole as containerd's name, as BuildKit writes them.
    fn from(reference: &Reference) -> Self {
        Self { ref_name: reference.identifier(), image_name: Some(reference.to_string()) }
    }
}

/// `[A-Za-z0-9]+(([-._:@+]|--)[A-Za-z0-9]+)*`
fn is_component(component: &str) -> bool {
    let ends_well = |end: Option<char>| end.is_some_and(|c| c.is_ascii_alphanumeric());
    let separator =
        |text: &str| text == "--" || (text.len() == 1 && text.contains(['-', '.', '_', ':', '@', '+']));
    ends_well(component.chars().next())
        && ends_well(component.chars().last())
        && component.split(|c: char| c.is_ascii_alphanumeric()).filter(|text| !text.is_empty()).all(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar_of_the_image_specification() {
        for name in ["latest", "1.2", "a--b", "q.io/me/app:1.2", "v1@x+y", "A_b"] {
            assert!(Name::new(name).is_ok(), "{name}");
        }
        for name in ["", "/", "a/", "a b", "-a", "a..b", "a---b", "../x", "ä", "a\n"] {
            assert!(Name::new(name).is_err(), "{name}");
        }
    }
}
