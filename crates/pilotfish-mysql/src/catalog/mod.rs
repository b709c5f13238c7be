//! What members tell each other: the lease, their records, votes and orders, as keys of the catalog; and the registration of the role.
