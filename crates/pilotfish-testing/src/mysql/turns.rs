//! How often servers took turns in making promises, as far as clients can prove it.

use std::net::IpAddr;
use std::time::Instant;

/// The most turns that are certain: promises of which each was asked for after the one before it had been received, and given by another server.
///
/// Who was answered late proves nothing: a server that stood still with an acknowledged write may say so long after another one has taken over.
pub(super) fn certain_turns(mut promises: Vec<(Instant, Instant, IpAddr)>) -> usize {
    promises.sort_by_key(|(_, answered, _)| *answered);
    let mut asked: Vec<usize> = (0..promises.len()).collect();
    asked.sort_by_key(|index| promises[*index].0);
    // The longest chain of promises that ends with one of this server.
    let mut longest: Vec<(IpAddr, usize)> = Vec::new();
    let mut chains = vec![0; promises.len()];
    let mut received = 0;
    for index in asked {
        let (sent, _, server) = promises[index];
        while received < promises.len() && promises[received].1 < sent {
            let (whose, chain) = (promises[received].2, chains[received]);
            match longest.iter_mut().find(|(server, _)| *server == whose) {
                Some((_, most)) => *most = chain.max(*most),
                None => longest.push((whose, chain)),
            }
            received += 1;
        }
        let before = longest.iter().filter(|(whose, _)| *whose != server).map(|(_, chain)| *chain).max();
        chains[index] = before.map_or(1, |chain| chain + 1);
    }
    chains.into_iter().max().map_or(0, |chain| chain - 1)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    /// Promises as (sent, answered, server).
    fn turns(promises: &[(u64, u64, u8)]) -> usize {
        let base = Instant::now();
        let at = |time: u64| base + Duration::from_millis(time);
        let server = |last: u8| IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
        certain_turns(promises.iter().map(|(sent, answered, last)| (at(*sent), at(*answered), server(*last))).collect())
    }

    #[test]
    fn servers_take_turns() {
        assert_eq!(turns(&[]), 0);
        assert_eq!(turns(&[(0, 1, 1), (2, 3, 1)]), 0);
        assert_eq!(turns(&[(0, 1, 1), (2, 3, 2), (4, 5, 2), (6, 7, 3)]), 2);
        assert_eq!(turns(&[(0, 1, 1), (2, 3, 2), (4, 5, 1), (6, 7, 2)]), 3);
    }

    #[test]
    fn a_late_answer_is_no_turn() {
        assert_eq!(turns(&[(0, 1, 1), (2, 9, 1), (4, 5, 2), (6, 7, 2), (10, 11, 2)]), 1);
    }

    #[test]
    fn two_that_promise_at_the_same_time_are_seen() {
        let first = (0..50).map(|n| (n * 10, n * 10 + 1, 1));
        let second = (0..50).map(|n| (n * 10 + 5, n * 10 + 6, 2));
        let all: Vec<_> = first.chain(second).collect();
        assert_eq!(turns(&all), 99);
    }
}
