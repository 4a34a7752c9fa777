//! `egret ca rotate`.

use std::fmt::Write as _;

use egret_tls::interception::CaSet;
use jiff::Timestamp;

use super::args::RotateArgs;
use super::{Failure, Outcome, show, store};

/// Changes the CA by one step.
pub(super) fn rotate(args: &RotateArgs) -> Result<Outcome, Failure> {
    let (store, now) = (store(&args.state)?, Timestamp::now());
    let (set, done): (CaSet, &str) = if args.activate {
        (
            store.activate(now)?,
            "the next CA signs now; the one before is still exported, until `egret ca rotate --retire`",
        )
    } else if args.retire {
        (store.retire(now)?, "the CA that signed before is no longer exported")
    } else if args.cancel {
        (store.cancel(now)?, "the next CA is dropped")
    } else if args.now {
        (
            store.replace(now)?,
            "the CA was changed at once; clients fail until they trust the new one (`egret ca export`)",
        )
    } else {
        (
            store.begin(now)?,
            "the next CA is made; give it to clients (`egret ca export` has both now), then let it sign with `egret ca rotate --activate`",
        )
    };
    let mut text = format!("{done}\n");
    // Writing to memory cannot fail.
    let _ = writeln!(text, "signs   {}, until {}", set.current.info().subject, set.current.not_after());
    if let Some(next) = &set.next {
        let _ = writeln!(text, "next    {}, until {}", next.info().subject, next.not_after());
    }
    for warning in &set.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    Ok(Outcome::Report { text, json: show::state(&store, &set) })
}
