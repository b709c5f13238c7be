//! Differences that stay, each with its reason. `docs/catalog.md` lists the same.

/// Name, as `accepted NAME` says in a script, and the reason.
pub(crate) const ACCEPTED: &[(&str, &str)] = &[
    (
        "born",
        "A service whose check has been critical ever since it was registered is removed after `DeregisterCriticalServiceAfter` too; Consul counts from a change of state.",
    ),
    ("compression", "Answers are never compressed: it serves its own host."),
    ("trees", "Who waits for a prefix is told when it is deleted as part of a larger one; Consul forgets them."),
];
