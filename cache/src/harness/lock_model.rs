//! The protocol of a claim's lock file (`claim.rs`) as a model whose every interleaving can be tried: open or make the file,
//! lock it, check that the name still means it; and to let go: check the name, remove it, unlock. Each step is one atomic
//! operation of the operating system. No two hold the claim at once, everybody gets it, and no file is left.

use super::soak;
use shuttle::sync::Mutex;
use shuttle::thread;
use std::panic;
use std::sync::Arc;

/// Which step of the protocol is left out, to see that the model notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeftOut {
    Nothing,
    /// After locking, the name is not compared with the locked file.
    Check,
    /// The file is unlocked before its name is removed.
    Order,
}

/// The folder of claims: what the name means, and which files are locked.
#[derive(Default)]
struct Disk {
    name: Option<usize>,
    locked: Vec<bool>,
}

type Shared = Arc<Mutex<Disk>>;

fn step<T>(disk: &Shared, act: impl FnOnce(&mut Disk) -> T) -> T {
    thread::yield_now();
    act(&mut disk.lock().unwrap())
}

/// One attempt: the locked file, or none where somebody else has it.
fn attempt(disk: &Shared, left_out: LeftOut) -> Option<usize> {
    loop {
        let file = step(disk, |disk| {
            let next = disk.locked.len();
            let file = *disk.name.get_or_insert(next);
            if file == next {
                disk.locked.push(false);
            }
            file
        });
        if step(disk, |disk| std::mem::replace(&mut disk.locked[file], true)) {
            return None;
        }
        if left_out == LeftOut::Check || step(disk, |disk| disk.name == Some(file)) {
            return Some(file);
        }
        // Trying again opens the name anew; the file that was locked in vain is closed.
        step(disk, |disk| disk.locked[file] = false);
    }
}

fn let_go(disk: &Shared, file: usize, left_out: LeftOut) {
    if left_out == LeftOut::Order {
        step(disk, |disk| disk.locked[file] = false);
    }
    if step(disk, |disk| disk.name == Some(file)) {
        step(disk, |disk| disk.name = None);
    }
    step(disk, |disk| disk.locked[file] = false);
}

fn claimers(left_out: LeftOut) {
    let disk = Shared::default();
    let inside = Arc::new(Mutex::new(0));
    let claimers: Vec<_> = (0..3)
        .map(|_| {
            let (disk, inside) = (disk.clone(), inside.clone());
            thread::spawn(move || {
                for _ in 0..2 {
                    let file = loop {
                        match attempt(&disk, left_out) {
                            Some(file) => break file,
                            None => thread::yield_now(),
                        }
                    };
                    let others = std::mem::replace(&mut *inside.lock().unwrap(), 1);
                    assert_eq!(others, 0, "two hold the claim");
                    thread::yield_now();
                    *inside.lock().unwrap() = 0;
                    let_go(&disk, file, left_out);
                }
            })
        })
        .collect();
    claimers.into_iter().for_each(|claimer| claimer.join().unwrap());
    assert_eq!(disk.lock().unwrap().name, None, "a lock file is left");
}

#[test]
fn no_two_claimers_hold_a_key_in_any_order_of_steps() {
    let schedules = 3000 * soak();
    shuttle::check_random(|| claimers(LeftOut::Nothing), schedules);
    shuttle::check_pct(|| claimers(LeftOut::Nothing), schedules, 3);
    println!("lock protocol: {} schedules of 3 claimers, 2 claims each; two holders: 0; starved: 0", 2 * schedules);
}

#[test]
fn a_protocol_without_one_of_its_steps_is_found_out() {
    for left_out in [LeftOut::Check, LeftOut::Order] {
        let found = panic::catch_unwind(|| shuttle::check_random(move || claimers(left_out), 3000));
        assert!(found.is_err(), "{left_out:?}");
    }
}
