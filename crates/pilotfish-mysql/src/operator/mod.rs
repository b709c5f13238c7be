//! The loop: facts become a `View`, the autopilot decides, the decision is judged and carried out.
