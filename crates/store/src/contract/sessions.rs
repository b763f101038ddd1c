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

pub(super) async fn a_session_reads_back_with_the_present_state_of_its_key(store: Store) {
    let key = stored_key(&store).await;
    let session = signed_in(&store, &key, 1, 50).await;
    assert_eq!(store.session(&session.id).await.unwrap(), Some(session.clone()));
    let unknown = SessionToken::generate().unwrap();
    assert_eq!(store.session(unknown.id()).await.unwrap(), None);
    store.revoke_key(&key.key.id, &ada(), at(5)).await.unwrap();
    let found = store.session(&session.id).await.unwrap().unwrap();
    assert_eq!(found.standing(at(6)), Standing::Revoked(at(5)));
}

pub(super) async fn a_session_ends_once_and_sign_in_and_sign_out_are_logged(store: Store) {
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

pub(super) async fn only_expired_sessions_are_deleted(store: Store) {
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

pub(super) async fn a_key_beyond_its_limit_of_sessions_loses_the_oldest(store: Store) {
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
