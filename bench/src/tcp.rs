//! Bare TCP on the loopback interface: what moving bytes between two processes costs here at least.

use std::time::Instant;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    Result,
    child::{questions, say},
    iroh_stream::block_on,
    measure::{Outcome, SMALL, What},
    usage::Usage,
};

/// How much is read at once.
const BUFFER: usize = 256 * 1024;

pub(crate) fn server() -> Result {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        say(&listener.local_addr()?.to_string());
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move { serve(&mut stream).await });
        let mut questions = questions();
        while questions.recv().await.is_some() {
            say(&Usage::now().to_string());
        }
        Ok(())
    })
}

/// Each measurement begins with its own name, a line.
async fn serve(stream: &mut TcpStream) -> Result {
    let mut buffer = vec![0; BUFFER];
    loop {
        let mut name = Vec::new();
        while name.last() != Some(&b'\n') {
            name.push(stream.read_u8().await?);
        }
        match std::str::from_utf8(&name)?.trim_end().parse()? {
            What::In { size, count } | What::Asked { size, count } => {
                let data = vec![7; size];
                for _ in 0..count {
                    stream.write_all(&data).await?;
                }
            }
            What::Out { size, count } => {
                drain(stream, &mut buffer, size as u64 * count).await?;
                stream.write_u8(1).await?;
            }
            What::Urb { count } | What::Echo { count } => echo(stream, count).await?,
            What::OutThenIn { count } => echo(stream, 2 * count).await?,
            What::Reports { .. } => return Err("TCP has no reports".into()),
        }
    }
}

async fn echo(stream: &mut TcpStream, count: u64) -> Result {
    let mut message = [0; SMALL];
    for _ in 0..count {
        stream.read_exact(&mut message).await?;
        stream.write_all(&message).await?;
    }
    Ok(())
}

async fn drain(stream: &mut TcpStream, buffer: &mut [u8], mut left: u64) -> Result {
    while left > 0 {
        match stream.read(buffer).await? {
            0 => return Err("the stream ended".into()),
            count => left -= count as u64,
        }
    }
    Ok(())
}

pub(crate) fn client() -> Result {
    block_on(async {
        let mut questions = questions();
        let address = questions.recv().await.ok_or("no address")?;
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        say("ready");
        let mut buffer = vec![0; BUFFER];
        while let Some(question) = questions.recv().await {
            if question == "usage" {
                say(&Usage::now().to_string());
                continue;
            }
            stream.write_all(format!("{question}\n").as_bytes()).await?;
            say(&measure(&mut stream, &mut buffer, question.parse()?).await?.to_string());
        }
        Ok(())
    })
}

async fn measure(stream: &mut TcpStream, buffer: &mut [u8], what: What) -> Result<Outcome> {
    let begin = Instant::now();
    let (count, trips) = match what {
        What::In { size, count } | What::Asked { size, count } => {
            drain(stream, buffer, size as u64 * count).await?;
            return Ok(Outcome::after(begin.elapsed()));
        }
        What::Out { size, count } => {
            let data = vec![7; size];
            for _ in 0..count {
                stream.write_all(&data).await?;
            }
            stream.read_u8().await?;
            return Ok(Outcome::after(begin.elapsed()));
        }
        What::Urb { count } | What::Echo { count } => (count, 1),
        What::OutThenIn { count } => (count, 2),
        What::Reports { .. } => return Err("TCP has no reports".into()),
    };
    let mut message = [7; SMALL];
    let mut latencies = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let sent = Instant::now();
        for _ in 0..trips {
            stream.write_all(&message).await?;
            stream.read_exact(&mut message).await?;
        }
        latencies.push(sent.elapsed());
    }
    Ok(Outcome::of(latencies, begin.elapsed()))
}
