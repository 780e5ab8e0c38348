//! A bare iroh stream between two endpoints with the daemon's own transport settings, and nothing around it.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use iroh::{
    Endpoint, EndpointAddr, EndpointId, SecretKey, TransportAddr,
    endpoint::{RecvStream, SendStream},
};
use p2pusb_protocol::ALPN;
use p2pusbd::{
    config::Network,
    net::bind,
    sim::{pattern, report, report_age},
};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    Result, allocations,
    child::{questions, say},
    measure::{DEPTH, Outcome, REPORT_INTERVAL, REPORT_LEN, SMALL, What},
    usage::Usage,
};

/// The head of a frame on a lane: a prefix of 8 bytes, and a header of about as many.
const HEAD: usize = 16;

/// Runs one side as the daemon runs: on one thread.
pub(crate) fn block_on(side: impl Future<Output = Result>) -> Result {
    allocations::count_here();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(side)
}

async fn endpoint() -> Result<Endpoint> {
    let network = Network { bind: vec![(Ipv4Addr::LOCALHOST, 0).into()], ..Network::default() };
    Ok(bind(SecretKey::generate(), &network, None).await?)
}

pub(crate) fn server() -> Result {
    block_on(async {
        let endpoint = endpoint().await?;
        let address = endpoint.bound_sockets().first().copied().ok_or("no socket")?;
        say(&format!("{} {address}", endpoint.id()));
        let connection = endpoint.accept().await.ok_or("closed")?.accept()?.await?;
        tokio::spawn(async move {
            // It is seen when the first measurement begins.
            let served = match connection.accept_bi().await {
                Ok((to, from)) => serve(to, from).await,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = served {
                eprintln!("bench: the iroh server: {error}");
            }
        });
        let mut questions = questions();
        while questions.recv().await.is_some() {
            say(&Usage::now().to_string());
        }
        endpoint.close().await;
        Ok(())
    })
}

/// Each measurement begins with its own name, padded with blanks.
async fn serve(mut to: SendStream, mut from: RecvStream) -> Result {
    let mut name = [0; SMALL];
    while from.read_exact(&mut name).await.is_ok() {
        match std::str::from_utf8(&name)?.trim_end().parse()? {
            What::In { size, count } => {
                let data = pattern(0, size);
                for _ in 0..count {
                    to.write_chunk(data.clone()).await?;
                }
            }
            What::Out { size, count } => {
                drain(&mut from, size as u64 * count).await?;
                to.write_all(&[1]).await?;
            }
            What::Asked { size, count } => {
                let (data, head) = (pattern(0, size), Bytes::from_static(&[7; HEAD]));
                let mut request = [0; HEAD];
                for _ in 0..count {
                    from.read_exact(&mut request).await?;
                    to.write_all_chunks(&mut [head.clone(), data.clone()]).await?;
                }
            }
            What::Urb { count } | What::Echo { count } => echo(&mut to, &mut from, count).await?,
            What::OutThenIn { count } => echo(&mut to, &mut from, 2 * count).await?,
            What::Reports { count } => {
                let mut clock = interval(REPORT_INTERVAL);
                clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
                for number in 0..count {
                    clock.tick().await;
                    to.write_chunk(report(number)).await?;
                }
            }
        }
    }
    Ok(())
}

async fn echo(to: &mut SendStream, from: &mut RecvStream, count: u64) -> Result {
    let mut message = [0; SMALL];
    for _ in 0..count {
        from.read_exact(&mut message).await?;
        to.write_all(&message).await?;
    }
    Ok(())
}

async fn drain(from: &mut RecvStream, mut left: u64) -> Result {
    while left > 0 {
        let chunk = from.read_chunk(left.min(1 << 20) as usize).await?.ok_or("the stream ended")?;
        left -= chunk.len() as u64;
    }
    Ok(())
}

pub(crate) fn client() -> Result {
    block_on(async {
        let endpoint = endpoint().await?;
        let mut questions = questions();
        let card = questions.recv().await.ok_or("no address")?;
        let (id, address) = card.split_once(' ').ok_or("no address")?;
        let (id, address): (EndpointId, _) = (id.parse()?, address.parse()?);
        let target = EndpointAddr::from_parts(id, [TransportAddr::Ip(address)]);
        let connection = endpoint.connect(target, ALPN).await?;
        let (mut to, mut from) = connection.open_bi().await?;
        say("ready");
        while let Some(question) = questions.recv().await {
            if question == "usage" {
                say(&Usage::now().to_string());
                continue;
            }
            to.write_all(format!("{question:SMALL$}").as_bytes()).await?;
            say(&measure(&mut to, &mut from, question.parse()?).await?.to_string());
        }
        endpoint.close().await;
        Ok(())
    })
}

async fn measure(to: &mut SendStream, from: &mut RecvStream, what: What) -> Result<Outcome> {
    let begin = Instant::now();
    let (count, trips) = match what {
        What::In { size, count } => {
            drain(from, size as u64 * count).await?;
            return Ok(Outcome::after(begin.elapsed()));
        }
        What::Out { size, count } => {
            let data = pattern(0, size);
            for _ in 0..count {
                to.write_chunk(data.clone()).await?;
            }
            drain(from, 1).await?;
            return Ok(Outcome::after(begin.elapsed()));
        }
        What::Asked { size, count } => {
            let request = Bytes::from_static(&[7; HEAD]);
            for _ in 0..DEPTH.min(count) {
                to.write_chunk(request.clone()).await?;
            }
            for number in 0..count {
                drain(from, (HEAD + size) as u64).await?;
                if number + DEPTH < count {
                    to.write_chunk(request.clone()).await?;
                }
            }
            return Ok(Outcome::after(begin.elapsed()));
        }
        What::Urb { count } | What::Echo { count } => (count, 1),
        What::OutThenIn { count } => (count, 2),
        What::Reports { count } => return reports(from, count).await,
    };
    let mut message = [7; SMALL];
    let mut latencies: Vec<Duration> = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let sent = Instant::now();
        for _ in 0..trips {
            to.write_all(&message).await?;
            from.read_exact(&mut message).await?;
        }
        latencies.push(sent.elapsed());
    }
    Ok(Outcome::of(latencies, begin.elapsed()))
}

async fn reports(from: &mut RecvStream, count: u64) -> Result<Outcome> {
    let begin = Instant::now();
    let mut latencies = Vec::with_capacity(count as usize);
    let mut message = [0; REPORT_LEN];
    for _ in 0..count {
        from.read_exact(&mut message).await?;
        let (_, age) = report_age(&message).ok_or("not a report")?;
        latencies.push(age);
    }
    Ok(Outcome::of(latencies, begin.elapsed()))
}
