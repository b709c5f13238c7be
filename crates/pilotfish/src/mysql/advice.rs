//! What a person is to do about reasons that wait for one. The same in words, as a metric, and at length in docs/mysql.md.

/// Reasons that end only when somebody does something, and what that is.
const ADVICE: [(&str, &str); 12] = [
    (
        "catalog-wiped",
        "restore the catalog, or choose the member with the right data (highest term and position) and run `pilotfish mysql adopt MEMBER`",
    ),
    (
        "catalog-went-back",
        "wait for the primary to write the lease again; if it is gone, run `pilotfish mysql adopt MEMBER` for the member with the right data",
    ),
    (
        "foreign-cluster",
        "point this member to the catalog that it belongs to, or give it another directory; if the catalog was wiped, run `pilotfish mysql adopt MEMBER` for the member with the right data",
    ),
    (
        "others-have-data",
        "run `pilotfish mysql adopt MEMBER` for the member that has the data, if the catalog was wiped",
    ),
    (
        "only-last-primary-has-all",
        "start the last primary again; if its data is lost, look at `pilotfish mysql failover --force`, which says first what is lost",
    ),
    (
        "votes-missing",
        "start the missing members again; if they are lost, look at `pilotfish mysql failover --force`, which says first what is lost",
    ),
    ("not-in-sync", "start the members that were in sync, or the last primary; this one may lack acknowledged writes"),
    ("no-donor", "get a primary first: `pilotfish mysql status` of the other members says what it waits for"),
    ("paused", "run `pilotfish mysql resume` when you are done"),
    ("replicas-missing", "start replicas, or let writes go on with fewer by a lower `minInSync`"),
    ("patience", "look for the cause in the log: the same failure came again and again; it is tried again by itself"),
    ("may-not-lead", "set `mayLead: true` for a member that is left"),
];

/// What to do about a reason that waits for a person.
pub(super) fn advice(code: &str) -> Option<&'static str> {
    ADVICE.iter().find(|(known, _)| *known == code).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handbook_has_a_section_for_each_of_them() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/mysql.md");
        let handbook = std::fs::read_to_string(path).unwrap();
        for (code, _) in ADVICE {
            assert!(handbook.contains(&format!("### `{code}`")), "docs/mysql.md has no section `{code}`");
        }
        assert!(advice("settled").is_none());
    }
}
