//! Identities that nobody can guess: UUIDs of random bytes.

/// A new UUID, as Consul writes it (all random, no version).
pub(crate) fn uuid() -> String {
    let mut bytes = [0; 16];
    if getrandom::getrandom(&mut bytes).is_err() {
        // Without the system's random numbers there are still the keys of the hasher, which come from the same source at the start.
        use std::hash::{BuildHasher as _, RandomState};
        for (half, part) in bytes.chunks_mut(8).enumerate() {
            part.copy_from_slice(&RandomState::new().hash_one(half).to_le_bytes());
        }
    }
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// A number for jitter.
pub(crate) fn chance() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0u8)
}
