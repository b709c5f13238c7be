//! Sets of sequence numbers as sorted intervals, and sets of transactions as such intervals by source.
//!
//! Both flavours are this: MySQL's source is a server's UUID (and tag), MariaDB's is a domain and a server. Only text differs.

use alloc::vec::Vec;

/// Inclusive intervals: sorted, disjoint, and never adjacent, so that equal sets are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Intervals(Vec<(u64, u64)>);

impl Intervals {
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum: u64, (first, last)| sum.saturating_add((last - first).saturating_add(1)))
    }

    /// Adds `first..=last`. Almost always that continues the last interval, so look there first.
    pub(super) fn insert(&mut self, first: u64, last: u64) {
        if let Some(end) = self.0.last_mut()
            && end.0 <= first
            && first <= end.1.saturating_add(1)
        {
            end.1 = end.1.max(last);
            return;
        }
        let from = self.0.partition_point(|(_, end)| end.saturating_add(1) < first);
        let to = self.0.partition_point(|(start, _)| *start <= last.saturating_add(1));
        let joined = self.0[from..to].iter().fold((first, last), |(a, b), (start, end)| (a.min(*start), b.max(*end)));
        self.0.splice(from..to, [joined]);
    }

    pub(super) fn contains(&self, other: &Intervals) -> bool {
        let mut own = self.0.iter();
        let mut current = own.next();
        other.0.iter().all(|(first, last)| {
            while current.is_some_and(|(_, end)| end < first) {
                current = own.next();
            }
            current.is_some_and(|(start, end)| start <= first && last <= end)
        })
    }

    pub(super) fn union(&mut self, other: &Intervals) {
        for (first, last) in other.iter() {
            self.insert(first, last);
        }
    }

    pub(super) fn subtract(&self, other: &Intervals) -> Intervals {
        let mut left = Vec::new();
        for (first, last) in self.iter() {
            let mut next = Some(first);
            for (start, end) in other.iter().filter(|(start, end)| *end >= first && *start <= last) {
                let Some(from) = next else { break };
                if from < start {
                    left.push((from, start - 1));
                }
                next = end.checked_add(1).filter(|next| *next <= last);
            }
            left.extend(next.map(|from| (from, last)));
        }
        Intervals(left)
    }
}

/// Intervals by source, sorted by source; no source without transactions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sources<K>(Vec<(K, Intervals)>);

impl<K> Default for Sources<K> {
    fn default() -> Self {
        Sources(Vec::new())
    }
}

impl<K: Ord + Clone> Sources<K> {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &Intervals)> {
        self.0.iter().map(|(source, intervals)| (source, intervals))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn of(&self, source: &K) -> Option<&Intervals> {
        self.0.binary_search_by(|(other, _)| other.cmp(source)).ok().map(|at| &self.0[at].1)
    }

    pub(super) fn insert(&mut self, source: &K, first: u64, last: u64) {
        let at = match self.0.binary_search_by(|(other, _)| other.cmp(source)) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (source.clone(), Intervals::default()));
                at
            }
        };
        self.0[at].1.insert(first, last);
    }

    pub(super) fn contains(&self, other: &Self) -> bool {
        other.iter().all(|(source, theirs)| self.of(source).is_some_and(|ours| ours.contains(theirs)))
    }

    pub(super) fn union(&mut self, other: &Self) {
        for (source, theirs) in other.iter() {
            match self.0.binary_search_by(|(other, _)| other.cmp(source)) {
                Ok(at) => self.0[at].1.union(theirs),
                Err(at) => self.0.insert(at, (source.clone(), theirs.clone())),
            }
        }
    }

    pub(super) fn subtract(&self, other: &Self) -> Self {
        let left = self.iter().map(|(source, ours)| match other.of(source) {
            Some(theirs) => (source.clone(), ours.subtract(theirs)),
            None => (source.clone(), ours.clone()),
        });
        Sources(left.filter(|(_, intervals)| !intervals.is_empty()).collect())
    }

    pub(super) fn count(&self) -> u64 {
        self.iter().fold(0, |sum: u64, (_, intervals)| sum.saturating_add(intervals.count()))
    }
}
