//! A name server on loopback that answers what it is told to.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

/// What the server says about a name.
#[derive(Debug, Clone)]
pub enum Answer {
    /// These addresses, by way of another name if there is one.
    Addresses(Vec<IpAddr>, Option<String>),
    /// This code, and no record.
    Code(ResponseCode),
    /// These addresses of one family; the question for the other fails.
    Half(Vec<IpAddr>, RecordType),
    /// Nothing.
    Silence,
}

/// The questions that came, as they were asked.
pub type Asked = Arc<Mutex<Vec<String>>>;

/// Answers with these addresses, whatever the name is.
pub async fn answering<'a>(addresses: impl IntoIterator<Item = &'a str>) -> SocketAddr {
    let addresses = addresses.into_iter().map(|a| a.parse().unwrap()).collect();
    serve(vec![Answer::Addresses(addresses, None)]).await.0
}

/// Gives one answer after another, a question for A and one for AAAA each; the last one for ever.
pub async fn serve(answers: Vec<Answer>) -> (SocketAddr, Asked) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (address, asked) = (socket.local_addr().unwrap(), Asked::default());
    let questions = Arc::clone(&asked);
    tokio::spawn(async move {
        let (mut buffer, mut turns) = ([0; 4096], [0, 0]);
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let question = Message::from_vec(&buffer[..length]).unwrap();
            let query = question.queries[0].clone();
            questions.lock().unwrap().push(query.name().to_ascii());
            let turn = &mut turns[usize::from(query.query_type() == RecordType::AAAA)];
            let answer = &answers[(*turn).min(answers.len() - 1)];
            *turn += 1;
            if let Some(reply) = reply(&question, answer) {
                socket.send_to(&reply.to_vec().unwrap(), from).await.unwrap();
            }
        }
    });
    (address, asked)
}

fn reply(question: &Message, answer: &Answer) -> Option<Message> {
    let query = &question.queries[0];
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata.message_type = MessageType::Response;
    reply.add_query(query.clone());
    match answer {
        Answer::Silence => return None,
        Answer::Code(code) => reply.metadata.response_code = *code,
        Answer::Half(_, family) if query.query_type() != *family => {
            reply.metadata.response_code = ResponseCode::ServFail;
        }
        Answer::Half(addresses, _) => {
            let whole = Answer::Addresses(addresses.clone(), None);
            return self::reply(question, &whole);
        }
        Answer::Addresses(addresses, alias) => {
            let mut name = query.name().clone();
            let alias = alias.as_ref().map(|a| Name::from_str(&format!("{a}.")).unwrap());
            if let Some(alias) = alias.filter(|alias| *alias != name) {
                reply.add_answer(Record::from_rdata(name, 0, RData::CNAME(CNAME(alias.clone()))));
                name = alias;
            }
            for address in addresses {
                let data = match (address, query.query_type()) {
                    (IpAddr::V4(address), RecordType::A) => RData::A(A(*address)),
                    (IpAddr::V6(address), RecordType::AAAA) => RData::AAAA(AAAA(*address)),
                    _ => continue,
                };
                reply.add_answer(Record::from_rdata(name.clone(), 0, data));
            }
        }
    }
    Some(reply)
}
