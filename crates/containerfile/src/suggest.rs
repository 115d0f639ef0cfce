//! "Did you mean …?": the nearest known name to one that is not known.

/// The candidate nearest to `name`, when it is near enough to be a slip of the fingers.
///
/// Letter case does not count as a difference. Among equally near candidates the first one wins, so that the
/// answer depends on the order given and on nothing else.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance is quadratic; nobody mistypes a name of that length.
    const MAX_LENGTH: usize = 64;
    if name.len() > MAX_LENGTH {
        return None;
    }
    let name = name.to_lowercase();
    let allowed = match name.chars().count() {
        0 | 1 => 0,
        2..=4 => 1,
        5..=8 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn suggests_only_what_is_near() {
        let known = ["RUN", "COPY", "ENTRYPOINT", "HEALTHCHECK"];
        for (typed, expected) in [
            ("RNU", Some("RUN")),
            ("rum", Some("RUN")),
            ("copy", Some("COPY")),
            ("ENTRPOINT", Some("ENTRYPOINT")),
            ("HEALTCHEK", Some("HEALTHCHECK")),
            ("&&", None),
            ("x", None),
            ("BANANA", None),
        ] {
            assert_eq!(closest(typed, known), expected, "{typed}");
        }
    }
}
