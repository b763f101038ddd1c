use super::super::Store;
use super::fixtures::{at, new_experiment};
use joulemark_experiment::access::{Action, Actor, ApiKey, Role, Standing, StoredKey, Token};

pub(super) fn ada() -> Actor {
    Actor {
        name: Some("Ada '; DROP TABLE api_keys; --".to_owned()),
        key_id: Some(Token::generate().unwrap().id().clone()),
        address: Some("2001:db8::1".to_owned()),
    }
}

pub(super) fn new_key() -> StoredKey {
    let token = Token::generate().unwrap();
    StoredKey {
        key: ApiKey {
            id: token.id().clone(),
            name: "Ada '; DROP TABLE api_keys; --".to_owned(),
            role: Role::Submitter,
            created_at: at(0),
            expires_at: Some(at(100)),
            revoked_at: None,
            last_used_at: None,
        },
        digest: token.digest(),
    }
}

pub(super) async fn a_key_reads_back_whole_and_an_unknown_one_is_none(store: Store) {
    let stored = new_key();
    store.insert_key(&stored, &ada()).await.unwrap();
    assert_eq!(store.key(&stored.key.id).await.unwrap(), Some(stored.clone()));
    assert_eq!(store.keys().await.unwrap(), [stored.key]);
    assert_eq!(store.key(Token::generate().unwrap().id()).await.unwrap(), None);
}

pub(super) async fn revoking_a_key_again_changes_nothing(store: Store) {
    let stored = new_key();
    let id = &stored.key.id;
    store.insert_key(&stored, &ada()).await.unwrap();
    assert!(store.revoke_key(id, &ada(), at(5)).await.unwrap());
    assert!(store.revoke_key(id, &ada(), at(9)).await.unwrap());
    let key = store.key(id).await.unwrap().unwrap().key;
    assert_eq!(key.standing(at(6)), Standing::Revoked(at(5)));
    assert!(
        !store
            .revoke_key(Token::generate().unwrap().id(), &ada(), at(9))
            .await
            .unwrap()
    );
    let actions = store.audit_log(None, 10).await.unwrap();
    let actions = actions.iter().map(|entry| entry.action).collect::<Vec<_>>();
    assert_eq!(
        actions,
        [Action::RevokeKey, Action::CreateKey],
        "newest first, the second revocation is none"
    );
}

pub(super) async fn the_last_use_of_a_key_never_moves_back(store: Store) {
    let (one, other) = (new_key(), new_key());
    for key in [&one, &other] {
        store.insert_key(key, &ada()).await.unwrap();
    }
    let (one, other) = (one.key.id, other.key.id);
    let used = [(one.clone(), at(7)), (other.clone(), at(8))];
    store.note_key_use(&used).await.unwrap();
    store.note_key_use(&[(one.clone(), at(3))]).await.unwrap();
    for (id, expected) in [(&one, at(7)), (&other, at(8))] {
        assert_eq!(store.key(id).await.unwrap().unwrap().key.last_used_at, Some(expected));
    }
}

pub(super) async fn a_submission_is_logged_with_its_submitter(store: Store) {
    let mut new = new_experiment(&[]);
    new.submitted_by = ada();
    store.insert(&new).await.unwrap();
    let record = store.get(new.id).await.unwrap().unwrap();
    assert_eq!(record.submitter, ada().name);
    let log = store.audit_log(None, 10).await.unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!(
        (log[0].action, log[0].at, &log[0].subject),
        (Action::Submit, at(0), &new.id.to_string())
    );
    let by = (&log[0].name, &log[0].key_id, &log[0].address);
    assert_eq!(
        by,
        (
            &new.submitted_by.name,
            &new.submitted_by.key_id,
            &new.submitted_by.address
        )
    );
    // Refused because the id is taken; nothing is logged.
    store.insert(&new).await.unwrap_err();
    assert_eq!(store.audit_log(None, 10).await.unwrap().len(), 1);
    assert!(
        store.audit_log(Some(log[0].id), 10).await.unwrap().is_empty(),
        "it is the oldest"
    );
}
