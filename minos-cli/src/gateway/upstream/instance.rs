//! One instance: how to reach it, how much it has to do, and whether it is left alone because it fails.
//!
//! An instance that cannot be connected to, or fails too often in a row, is out for a while. Then one request is let through; if that succeeds the instance is in
//! again, and if not, it is out for twice as long.

use super::{millis, now, pool::Pool};
use crate::gateway::config::{EjectionConfig, GatewayConfig, UpstreamConfig};
use http::{HeaderValue, uri::Authority};
use minos_runtime::discovery;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
};

/// How long an instance is asked last of all that closes its connections: it is about to end.
const LEAVING: u64 = 1000;

/// One instance of a service.
#[derive(Debug)]
pub(in crate::gateway) struct Instance {
    pub(in crate::gateway) service: String,
    pub(in crate::gateway) id: String,
    pub(in crate::gateway) url: String,
    /// As it is told in `Host`.
    pub(super) host: HeaderValue,
    /// What a socket is connected to.
    pub(super) address: String,
    pub(super) pool: Pool,
    pub(super) settings: UpstreamConfig,
    ejection: EjectionConfig,
    /// Requests that it has, and has not answered to the end.
    under_way: AtomicUsize,
    /// Failures since the last success.
    failures: AtomicU32,
    /// Until when it is out; 0 if it is in.
    out_until: AtomicU64,
    /// How often it was put out since it was last in.
    times: AtomicU32,
    /// One request tries whether it is back.
    is_tried: AtomicBool,
    /// Until when it is taken for one that is about to end.
    leaving_until: AtomicU64,
    /// How often it was put out in all.
    ejections: AtomicU64,
}

/// Whether an instance is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Standing {
    In,
    /// It is asked when no other can be.
    Leaving,
    /// One request may try.
    Due,
    Out,
}

/// A request that an instance has, until this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay(pub(super) Arc<Instance>, bool);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Relaxed);
        if self.1 {
            self.0.is_tried.store(false, Relaxed);
        }
    }
}

impl Instance {
    pub(in crate::gateway) fn new(instance: &discovery::Instance, authority: &Authority, config: &GatewayConfig) -> Option<Self> {
        Some(Instance {
            service: instance.service.clone(),
            id: instance.id.clone(),
            url: instance.url.clone(),
            host: HeaderValue::from_str(authority.as_str()).ok()?,
            address: format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80)),
            pool: Pool::new(config.upstream.max_idle, config.http.worker_threads()),
            settings: config.upstream.clone(),
            ejection: config.ejection.clone(),
            under_way: AtomicUsize::new(0),
            failures: AtomicU32::new(0),
            out_until: AtomicU64::new(0),
            times: AtomicU32::new(0),
            is_tried: AtomicBool::new(false),
            leaving_until: AtomicU64::new(0),
            ejections: AtomicU64::new(0),
        })
    }

    pub(in crate::gateway) fn standing(&self) -> Standing {
        let out = self.out_until.load(Relaxed);
        if out == 0 && self.leaving_until.load(Relaxed) == 0 {
            return Standing::In;
        }
        let now = now();
        match out {
            0 if self.leaving_until.load(Relaxed) > now => Standing::Leaving,
            0 => Standing::In,
            out if out <= now && !self.is_tried.load(Relaxed) => Standing::Due,
            _ => Standing::Out,
        }
    }

    /// Takes a place for a request; `None` if only one may try, and another one does.
    pub(super) fn take(self: &Arc<Self>) -> Option<UnderWay> {
        let tries = self.out_until.load(Relaxed) != 0;
        if tries && self.is_tried.swap(true, Relaxed) {
            return None;
        }
        self.under_way.fetch_add(1, Relaxed);
        Some(UnderWay(self.clone(), tries))
    }

    /// Takes a place whatever its standing is: when there is nobody else.
    pub(super) fn take_anyway(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Relaxed);
        UnderWay(self.clone(), false)
    }

    pub(in crate::gateway) fn load(&self) -> usize {
        self.under_way.load(Relaxed)
    }

    /// Milliseconds until it may be tried again.
    pub(super) fn out_for(&self) -> u64 {
        self.out_until.load(Relaxed).saturating_sub(now())
    }

    /// It has answered as it should.
    pub(super) fn succeeded(&self) {
        // Mostly there is nothing to change, and a line of memory that nobody writes stays with all cores.
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
        if self.out_until.load(Relaxed) != 0 {
            self.let_in();
            tracing::info!("{} of `{}` is back", self.url, self.service);
        }
    }

    /// It failed at a request. Out it goes after some in a row, unless nobody else is `left`: what fails sometimes is better than nothing.
    pub(super) fn failed(&self, why: &str, left: bool) {
        let failures = self.failures.fetch_add(1, Relaxed) + 1;
        let was_tried = self.out_until.load(Relaxed) != 0;
        if was_tried || (left && failures as usize >= self.ejection.failures) {
            self.put_out(why);
        }
    }

    /// It cannot be connected to, so nobody has to wait for that again. Nothing was asked.
    pub(super) fn unreachable(&self, why: &str) {
        self.put_out(why);
    }

    /// It closes its connections: it is about to end, or to be replaced.
    pub(super) fn leaves(&self) {
        self.leaving_until.store(now() + LEAVING, Relaxed);
        self.pool.clear();
    }

    fn put_out(&self, why: &str) {
        let times = self.times.fetch_add(1, Relaxed);
        let first = millis(self.ejection.first_pause);
        let pause = first.saturating_mul(1 << times.min(20)).min(millis(self.ejection.longest_pause).max(first));
        self.out_until.store(now() + pause, Relaxed);
        self.pool.clear();
        self.ejections.fetch_add(1, Relaxed);
        if times == 0 {
            tracing::warn!("{} of `{}` is left alone for {pause} ms: {why}", self.url, self.service);
        } else {
            tracing::debug!("{} of `{}` is left alone for {pause} ms: {why}", self.url, self.service);
        }
    }

    /// In it is again, whatever was.
    pub(in crate::gateway) fn let_in(&self) {
        self.failures.store(0, Relaxed);
        self.times.store(0, Relaxed);
        self.out_until.store(0, Relaxed);
    }

    pub(in crate::gateway) fn ejections(&self) -> u64 {
        self.ejections.load(Relaxed)
    }

    pub(in crate::gateway) fn idle_connections(&self) -> usize {
        self.pool.len()
    }

    /// Lets go of connections that nobody has used for too long.
    pub(in crate::gateway) fn tidy(&self) {
        self.pool.tidy(self.settings.keep_idle);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::time::Duration;

    pub(in super::super) fn instance(id: &str) -> Arc<Instance> {
        let told = discovery::Instance {
            service: "s".into(),
            id: id.into(),
            url: "http://127.0.0.1:1".into(),
            endpoints: Vec::new(),
            admin: None,
        };
        let config = GatewayConfig::parse("[ejection]\nfailures = 3\nfirst_pause = \"100ms\"\nlongest_pause = \"300ms\"").unwrap();
        Arc::new(Instance::new(&told, &"127.0.0.1:1".parse().unwrap(), &config).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn who_fails_too_often_is_out_and_tried_by_one() {
        let one = instance("a");
        for _ in 0..2 {
            one.failed("503", true);
        }
        one.succeeded();
        for _ in 0..2 {
            one.failed("503", true);
        }
        assert_eq!(one.standing(), Standing::In, "three in a row");
        one.failed("503", true);
        assert_eq!(one.standing(), Standing::Out);
        tokio::time::advance(Duration::from_millis(101)).await;
        assert_eq!(one.standing(), Standing::Due);
        let trying = one.take().unwrap();
        assert!(one.take().is_none() && one.standing() == Standing::Out, "only one tries");
        one.failed("503", true);
        drop(trying);
        tokio::time::advance(Duration::from_millis(101)).await;
        assert_eq!(one.standing(), Standing::Out, "twice as long");
        tokio::time::advance(Duration::from_millis(101)).await;
        let trying = one.take().unwrap();
        one.succeeded();
        drop(trying);
        assert_eq!((one.standing(), one.load(), one.ejections()), (Standing::In, 0, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_one_goes_on_though_it_fails() {
        let one = instance("a");
        for _ in 0..10 {
            one.failed("503", false);
        }
        assert_eq!(one.standing(), Standing::In);
        one.unreachable("refused");
        assert_eq!(one.standing(), Standing::Out, "but nobody waits for what cannot be reached");
        for _ in 0..10 {
            tokio::time::advance(Duration::from_millis(301)).await;
            assert_eq!(one.standing(), Standing::Due, "never longer than the longest pause");
            one.unreachable("refused");
        }
    }
}
