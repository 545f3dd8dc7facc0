//! The command `ddpipe`.

fn main() {}
