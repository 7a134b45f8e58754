//! One HTTP/1.1 connection that is kept, with one request at a time.

use std::{io, net::SocketAddr};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The most headers of an answer.
const HEADERS_MAX: usize = 32;

/// A connection with the answer that it read last.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Where in the buffer the body of the last answer lies.
    body: std::ops::Range<usize>,
    retry_after_s: Option<u64>,
}

/// What the head of an answer tells.
struct Head {
    status: u16,
    body_begin: usize,
    body_length: usize,
    retry_after_s: Option<u64>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            buffer: Vec::with_capacity(16 * 1024),
            body: 0..0,
            retry_after_s: None,
        })
    }

    /// Sends a whole request and reads the whole answer; its status.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            self.read_more().await?;
            if let Some(head) = parse_head(&self.buffer)? {
                break head;
            }
        };
        let end = head.body_begin + head.body_length;
        while self.buffer.len() < end {
            self.read_more().await?;
        }
        self.body = head.body_begin..end;
        self.retry_after_s = head.retry_after_s;
        Ok(head.status)
    }

    /// The body of the last answer.
    pub(crate) fn body(&self) -> &str {
        let body = self.buffer.get(self.body.clone()).unwrap_or_default();
        std::str::from_utf8(body).unwrap_or("no text")
    }

    /// In how many seconds the last answer wants the request again.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.retry_after_s
    }

    async fn read_more(&mut self) -> anyhow::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => bail!("the server closed the connection"),
            _ => Ok(()),
        }
    }
}

/// The head of an answer, if all of it is there.
fn parse_head(bytes: &[u8]) -> anyhow::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(body_begin) = response.parse(bytes)? else {
        return Ok(None);
    };
    let number = |name: &str| {
        let header = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()?.parse::<u64>().ok()
    };
    let length = number("content-length").context("the answer does not tell its length")?;
    Ok(Some(Head {
        status: response.code.unwrap_or_default(),
        body_begin,
        body_length: usize::try_from(length)?,
        retry_after_s: number("retry-after"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_head_is_none_and_a_whole_one_tells_its_body() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nretry-after: 9\r\n\r\nabc";
        assert!(parse_head(&answer[..30]).unwrap().is_none());
        let head = parse_head(answer).unwrap().unwrap();
        assert_eq!((head.status, head.body_length), (200, 3));
        assert_eq!(head.retry_after_s, Some(9));
        assert_eq!(&answer[head.body_begin..], b"abc");
        assert!(parse_head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
