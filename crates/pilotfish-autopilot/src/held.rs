//! Whether a primary's writes are where they must be, although nobody has said so.

use crate::lease::Seat;
use crate::view::View;

/// Whether all that is in our binary log is executed by as many in-sync members as must have it, by what they said of themselves. What a member has
/// executed it keeps, so nothing more is needed for an OK to be true.
pub fn is_held(view: &View) -> bool {
    let (Some(holding), Some((lease, _)), Some(facts)) = (&view.holding, view.lease(), view.facts()) else {
        return false;
    };
    // While a write of the lease is in doubt, so is the set.
    let ours = lease.holder == view.me && lease.epoch == holding.lease.epoch && lease.is_established();
    if !ours || view.pending.is_some() || lease.config.acks == 0 {
        return false;
    }
    let holds = |seat: &Seat| {
        view.records.get(&seat.member).is_some_and(|record| {
            record.data.map(|(_, data)| data) == Some(seat.data)
                && record.executed.as_ref().is_some_and(|executed| executed.contains(&facts.executed))
        })
    };
    let seats = lease.config.in_sync.iter().map(|(member, data)| Seat { member: *member, data: *data });
    seats.filter(holds).count() >= usize::from(lease.config.acks)
}
