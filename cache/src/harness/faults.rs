//! Failing operations. Each deed is done again and again; the k-th operation of a class fails, for k = 1, 2, … until a
//! deed goes through untouched. It fails once, from then on, or once although it was done. Afterwards the deed has either
//! reported success or an honest error, the cache is whole, nothing that was on record is lost, and the same deed gives the
//! same digests.

use super::deeds::{BEFORE, DEEDS, Deed, key, outside};
use super::scene::{examine, furnish};
use super::watch::{CLASSES, Fault, How, with_fault};
use super::{folder, soak};
use crate::CacheError;
use nix::errno::Errno;
use std::fs;

const ERRNOS: [Errno; 7] =
    [Errno::EIO, Errno::ENOSPC, Errno::EDQUOT, Errno::EROFS, Errno::EMFILE, Errno::EACCES, Errno::ESTALE];
const HOWS: [How; 3] = [How::Once, How::FromThenOn, How::ThoughDone];

/// The quick form tries each operation with one error and one way of failing, in turn; the long form with all.
#[test]
fn the_kth_operation_fails() {
    let mut points = 0;
    let mut tried = 0;
    let mut refused = 0;
    for deed in DEEDS {
        for class in CLASSES {
            for nth in 1.. {
                let all = ERRNOS.iter().flat_map(|errno| HOWS.map(|how| (*errno as i32, how))).collect::<Vec<_>>();
                let chosen = if soak() > 1 { &all[..] } else { &[all[points % all.len()]] };
                let mut met = false;
                for &(errno, how) in chosen {
                    let fault = Fault { class, nth, errno, how };
                    let (struck, failed) = one(deed, fault);
                    met |= struck;
                    tried += usize::from(struck);
                    refused += usize::from(failed);
                }
                if !met {
                    break;
                }
                points += 1;
            }
        }
    }
    println!("faults: {tried} at {points} operations of {} deeds, {refused} reported, 0 accepted wrongly", DEEDS.len());
    assert!(points > 300, "{points}");
}

/// Whether the fault was met, and whether the deed failed.
fn one(deed: Deed, fault: Fault) -> (bool, bool) {
    let folder = folder();
    let root = folder.path().join("cache");
    if deed != Deed::Open {
        furnish(&root);
    }
    fs::write(outside(&root), "from outside").unwrap();
    let (result, struck) = with_fault(fault, || deed.run(&root));
    let context = format!("{deed:?} {fault:?} gave {result:?}");
    if let Err(error) = &result {
        assert!(struck, "{context}");
        let text = error.to_string();
        let honest = matches!(
            error,
            CacheError::Io { .. }
                | CacheError::Full { .. }
                | CacheError::NotWritable { .. }
                | CacheError::NoLocks { .. }
        );
        assert!(honest && text.contains(folder.path().to_str().unwrap()), "{context}: {text}");
    }
    let kept: Vec<_> = match deed {
        Deed::Open => Vec::new(),
        Deed::Collect => vec![key("pinned")],
        _ => BEFORE.map(key).to_vec(),
    };
    examine(&root, &kept).unwrap_or_else(|found| panic!("{context}: {found}"));
    let again = deed.run(&root).unwrap_or_else(|error| panic!("{context}; again: {error}"));
    if let Ok(first) = &result {
        assert_eq!(*first, again, "{context}");
    }
    assert_eq!(again, reference(deed), "{context}");
    examine(&root, &kept).unwrap_or_else(|found| panic!("{context}; again: {found}"));
    (struck, result.is_err())
}

fn reference(deed: Deed) -> Vec<crate::Digest> {
    use super::deeds::{NEW, OTHER, content};
    let of = |node: &str| -> Vec<_> { content(node).iter().map(|bytes| crate::Digest::of(bytes)).collect() };
    match deed {
        Deed::Commit => of(NEW),
        Deed::CommitAll => [NEW, OTHER].into_iter().flat_map(of).collect(),
        Deed::Force | Deed::Hit | Deed::Learn => of("idle"),
        Deed::Checkpoint => vec![crate::Digest::of(b"step 2")],
        Deed::Remember => vec![crate::Digest::of(b"from outside")],
        Deed::Open | Deed::Claim | Deed::Collect | Deed::Pin => Vec::new(),
    }
}
