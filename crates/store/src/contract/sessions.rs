use jiff::SignedDuration;

use super::super::Store;
use super::access::{ada, new_key};
use super::fixtures::at;
use joulemark_experiment::access::{Action, SessionToken, Standing, StoredKey, StoredSession};

async fn stored_key(store: &Store) -> StoredKey {
    let stored = new_key();
    store.insert_key(&stored, &ada()).await.unwrap();
    stored
}

async fn signed_in(store: &Store, key: &StoredKey, sec: i64, lifetime_sec: i64) -> StoredSession {
    let token = SessionToken::generate().unwrap();
    let lifetime = SignedDuration::from_secs(lifetime_sec);
    let session = StoredSession::new(&token, key.key.clone(), at(sec), lifetime);
    store.insert_session(&session, &ada()).await.unwrap();
    session
}

pub async fn a_session_reads_back_with_its_key_as_that_is_now(store: Store) {
    let key = stored_key(&store).await;
    let session = signed_in(&store, &key, 1, 50).await;
    assert_eq!(store.session(&session.id).await.unwrap(), Some(session.clone()));
    let unknown = SessionToken::generate().unwrap();
    assert_eq!(store.session(unknown.id()).await.unwrap(), None);
    store.revoke_key(&key.key.id, &ada(), at(5)).await.unwrap();
    let found = store.session(&session.id).await.unwrap().unwrap();
    assert_eq!(found.standing(at(6)), Standing::Revoked(at(5)));
}

pub async fn a_session_ends_once_and_the_log_says_who_signed_in_and_out(store: Store) {
    let key = stored_key(&store).await;
    let (one, other) = (
        signed_in(&store, &key, 1, 50).await,
        signed_in(&store, &key, 2, 50).await,
    );
    assert!(store.end_session(&one.id, &ada(), at(3)).await.unwrap());
    assert!(!store.end_session(&one.id, &ada(), at(4)).await.unwrap());
    assert_eq!(store.session(&one.id).await.unwrap(), None);
    assert!(store.session(&other.id).await.unwrap().is_some());
    let log = store.audit_log(None, 10).await.unwrap();
    let told: Vec<_> = log.iter().map(|line| (line.action, line.subject.as_str())).collect();
    assert_eq!(
        told,
        [
            (Action::SignOut, one.id.as_str()),
            (Action::SignIn, other.id.as_str()),
            (Action::SignIn, one.id.as_str()),
            (Action::CreateKey, key.key.id.as_str()),
        ]
    );
    assert_eq!((log[0].at, &log[0].name), (at(3), &ada().name));
}

pub async fn sessions_that_have_expired_are_forgotten_and_no_others(store: Store) {
    let key = stored_key(&store).await;
    let (short, long) = (
        signed_in(&store, &key, 0, 10).await,
        signed_in(&store, &key, 0, 11).await,
    );
    assert_eq!(store.drop_expired_sessions(at(9)).await.unwrap(), 0);
    assert_eq!(store.drop_expired_sessions(at(10)).await.unwrap(), 1);
    assert_eq!(store.session(&short.id).await.unwrap(), None);
    assert!(store.session(&long.id).await.unwrap().is_some());
}

pub async fn a_key_has_so_many_sessions_and_the_oldest_goes_first(store: Store) {
    let (key, others) = (stored_key(&store).await, stored_key(&store).await);
    let of_other = signed_in(&store, &others, 0, 99).await;
    let oldest = signed_in(&store, &key, 0, 99).await;
    let second = signed_in(&store, &key, 1, 99).await;
    for sec in 2..=100 {
        signed_in(&store, &key, sec, 199).await;
    }
    assert_eq!(store.session(&oldest.id).await.unwrap(), None);
    for stays in [&second.id, &of_other.id] {
        assert!(store.session(stays).await.unwrap().is_some());
    }
}
