//! How many requests a second are let through.
//!
//! A bucket is one number: when it would be full again (the "generic cell rate algorithm"). So buckets are small, need no tidying, and are taken from without a lock.

use super::client::bucket;
use crate::gateway::config::RateConfig;
use quick_cache::sync::Cache;
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::time::Instant;

/// What is let through.
#[derive(Debug)]
struct Limit {
    /// Nanoseconds that one request takes.
    each: u64,
    /// Nanoseconds' worth of requests that may come at once.
    burst: u64,
}

/// When a bucket would be full again, in nanoseconds.
#[derive(Debug, Default)]
struct Bucket(AtomicU64);

impl Limit {
    fn new(per_second: usize, burst: usize) -> Option<Self> {
        let each = 1_000_000_000_u64.checked_div(per_second as u64)?.max(1);
        Some(Limit { each, burst: (burst as u64).saturating_mul(1_000_000_000).max(each) })
    }

    /// Takes one; or tells in how many nanoseconds there is one.
    fn take(&self, bucket: &Bucket, now: u64) -> Result<(), u64> {
        let next = |full: u64| full.max(now) + self.each;
        let taken = bucket.0.fetch_update(Relaxed, Relaxed, |full| (next(full) <= now + self.burst).then(|| next(full)));
        taken.map(drop).map_err(|full| next(full) - now - self.burst)
    }
}

/// All limits of a gateway.
pub(in crate::gateway) struct Rates {
    begun: Instant,
    global: Option<(Limit, Bucket)>,
    clients: Option<(Limit, Cache<IpAddr, Arc<Bucket>>)>,
    users: Option<(Limit, Cache<String, Arc<Bucket>>)>,
}

impl Rates {
    pub(in crate::gateway) fn new(config: &RateConfig) -> Self {
        let limit = |per_second: usize| Limit::new(per_second, config.burst);
        Rates {
            begun: Instant::now(),
            global: limit(config.global).map(|limit| (limit, Bucket::default())),
            clients: limit(config.per_client).map(|limit| (limit, Cache::new(config.remembered))),
            users: limit(config.per_user).map(|limit| (limit, Cache::new(config.remembered))),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX / 4)
    }

    /// Whether a request of this client is let through; or in how many seconds.
    ///
    /// # Errors
    /// If it is not.
    pub(in crate::gateway) fn client(&self, address: IpAddr) -> Result<(), u64> {
        if self.global.is_none() && self.clients.is_none() {
            return Ok(());
        }
        let now = self.now();
        // First the client's own: who asks too much takes nothing away from the others.
        if let Some((limit, clients)) = &self.clients {
            take(limit, clients, &bucket(address), now)?;
        }
        self.global.as_ref().map_or(Ok(()), |(limit, bucket)| limit.take(bucket, now).map_err(seconds))
    }

    /// Whether a request of this user is let through.
    ///
    /// # Errors
    /// If it is not.
    pub(in crate::gateway) fn user(&self, user: &str) -> Result<(), u64> {
        self.users.as_ref().map_or(Ok(()), |(limit, users)| take(limit, users, user, self.now()))
    }
}

fn take<K, Q>(limit: &Limit, buckets: &Cache<K, Arc<Bucket>>, key: &Q, now: u64) -> Result<(), u64>
where
    K: Eq + std::hash::Hash + Clone + std::borrow::Borrow<Q>,
    Q: Eq + std::hash::Hash + ToOwned<Owned = K> + ?Sized,
{
    let bucket = buckets.get_or_insert_with(key, || Ok::<_, std::convert::Infallible>(Arc::default()));
    let Ok(bucket) = bucket;
    limit.take(&bucket, now).map_err(seconds)
}

fn seconds(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000_000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::GatewayConfig;
    use std::time::Duration;

    fn rates(text: &str) -> Rates {
        Rates::new(&GatewayConfig::parse(&format!("[rate]\n{text}")).unwrap().rate)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_gets_its_share_and_no_more() {
        let rates = rates("per_client = 10\nburst = 2");
        let passed = |address: &str, n: usize| (0..n).filter(|_| rates.client(address.parse().unwrap()).is_ok()).count();
        assert_eq!(passed("1.1.1.1", 100), 20, "what may come at once");
        assert_eq!(passed("2.2.2.2", 5), 5, "another one has its own");
        assert_eq!(rates.client("1.1.1.1".parse().unwrap()), Err(1));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(passed("1.1.1.1", 100), 5);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(passed("1.1.1.1", 100), 20, "never more than that");
        assert_eq!(passed("2001:db8::1", 15) + passed("2001:db8::2", 15), 20, "one network");
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_too_much_takes_nothing_from_others() {
        let rates = rates("per_client = 1\nglobal = 10\nburst = 1");
        let address = |n: u8| IpAddr::from([10, 0, 0, n]);
        assert_eq!((0..1000).filter(|_| rates.client(address(1)).is_ok()).count(), 1);
        assert_eq!((2..50).filter(|n| rates.client(address(*n)).is_ok()).count(), 9);
        assert!(rates.user("a").is_ok(), "no limit");
    }

    #[test]
    fn memory_is_bounded() {
        let rates = rates("per_client = 1\nremembered = 1000");
        for n in 0..100_000_u32 {
            let _ = rates.client(IpAddr::from(n.to_be_bytes()));
        }
        let (_, clients) = rates.clients.as_ref().unwrap();
        assert!(clients.len() <= 1100, "{}", clients.len());
    }
}
