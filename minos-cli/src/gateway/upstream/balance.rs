//! Who is asked: of two instances by chance, the one with less to do.

use super::instance::{Instance, Standing, UnderWay};
use std::sync::Arc;

/// Takes an instance that is `fresh`: was not asked before for the same request. `None` if there is none that may be asked.
pub(super) fn choose(instances: &[Arc<Instance>], fresh: impl Fn(&Instance) -> bool) -> Option<UnderWay> {
    let is_good = |instance: &Arc<Instance>| fresh(instance) && instance.standing() == Standing::In;
    // What is there most of the time, without a look at all of them.
    let quick = match instances {
        [] => None,
        [one] => Some(one).filter(|one| is_good(one)),
        many => {
            let first = fastrand::usize(..many.len());
            let second = (first + fastrand::usize(1..many.len())) % many.len();
            let pair = [&many[first], &many[second]];
            pair.into_iter().filter(|one| is_good(one)).min_by_key(|one| one.load())
        }
    };
    // Who is due is tried before those who are in, or it would never be; it is one request at once, and if it cannot be connected to, another one is asked.
    let due = || instances.iter().find(|one| fresh(one) && one.standing() == Standing::Due).and_then(Instance::take);
    let least = |standing: Standing| instances.iter().filter(|one| fresh(one) && one.standing() == standing).min_by_key(|one| one.load());
    let any_due = instances.iter().any(|one| one.standing() == Standing::Due);
    any_due
        .then(due)
        .flatten()
        .or_else(|| quick.and_then(Instance::take))
        .or_else(|| least(Standing::In).and_then(Instance::take))
        .or_else(|| least(Standing::Leaving).and_then(Instance::take))
}

/// Whether somebody else could be asked.
pub(super) fn others(instances: &[Arc<Instance>], than: &Instance) -> bool {
    instances.iter().any(|one| !std::ptr::eq(&**one, than) && matches!(one.standing(), Standing::In | Standing::Leaving))
}

#[cfg(test)]
mod tests {
    use super::{super::instance::tests::instance, *};

    #[tokio::test(start_paused = true)]
    async fn who_has_less_to_do_is_asked() {
        let all = [instance("a"), instance("b"), instance("c")];
        let busy: Vec<_> = (0..200).map(|_| all[0].take()).collect();
        let mut taken = Vec::new();
        for _ in 0..60 {
            taken.extend(choose(&all, |_| true));
        }
        assert_eq!(all[0].load(), 200, "the busy one never wins against another");
        assert!(all[1].load() >= 15 && all[2].load() >= 15, "{} {}", all[1].load(), all[2].load());
        drop((busy, taken));
        assert!(all.iter().all(|one| one.load() == 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_out_is_not_asked_until_it_is_due() {
        let all = [instance("a"), instance("b")];
        all[0].unreachable("refused");
        let asked = |n: usize| (0..n).filter_map(|_| choose(&all, |_| true)).filter(|one| one.0.id == "a").count();
        assert_eq!(asked(50), 0);
        assert!(!others(&all, &all[1]) && others(&all, &all[0]));
        tokio::time::advance(std::time::Duration::from_millis(101)).await;
        let first = choose(&all, |_| true).unwrap();
        assert_eq!(first.0.id, "a", "it is tried");
        assert_eq!(choose(&all, |_| true).unwrap().0.id, "b", "by one");
        drop(first);
        all[1].unreachable("refused");
        assert_eq!(choose(&all, |one| one.id != "a").map(|one| one.0.id.clone()), None, "nobody is left");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_about_to_leave_is_asked_last() {
        let all = [instance("a"), instance("b")];
        all[0].leaves();
        assert!((0..50).all(|_| choose(&all, |_| true).unwrap().0.id == "b"));
        assert_eq!(choose(&all[..1], |_| true).unwrap().0.id, "a");
    }
}
