//! What the checker says of one conversation: nothing where the server is honest, the right thing where it is not.

use super::scene::{
    Scene, balance, count, drop_of, found, grant, instance, item, resync, sell, shift, stack, stats, use_of,
};
use holdall_client_sim::{checker::Fate, fault::Fault};
use holdall_protocol::{
    code::Code,
    ids::{Place, Revision, Seq},
    message::{Answered, Applied, Change, ClientMessage, Removed, ServerMessage, Stats},
};

fn seqs(messages: &[ClientMessage]) -> Vec<u64> {
    let seq = |message: &ClientMessage| match message {
        ClientMessage::Request(request) => request.seq.get(),
        ClientMessage::Hello(_) => panic!("only requests are asked again"),
    };
    messages.iter().map(seq).collect()
}

mod of_an_honest_server {
    use super::*;

    #[test]
    fn replies_refusals_questions_and_gifts() {
        let mut scene = Scene::usual();
        scene.dropped(1, 10);
        scene.ask(drop_of(0, 99));
        scene.ask(count("ore"));
        scene.ask(count("gold"));
        let refused = scene.refusal(2, Code::InsufficientQuantity);
        let reply = scene.hear(ServerMessage::Refused(refused)).unwrap();
        assert_eq!(reply.fate, Fate::Refused { code: Code::InsufficientQuantity, retry_after_ms: None });
        scene.hear(scene.answer(3, Answered::Count(20)));
        scene.hear(scene.answer(4, Answered::Count(10)));
        let gift = scene.gift(stack(4, "helm", 1));
        scene.hear(ServerMessage::Delta(gift));
        scene.ask(resync());
        scene.hear(scene.answer(5, Answered::Snapshot(scene.snapshot())));
        let tally = scene.honest();
        assert_eq!(tally.dropped.of(&item("ore")), 10);
        assert_eq!(tally.found.of(&item("helm")), 1);
    }

    #[test]
    fn a_resume_brings_what_was_missed_and_the_rest_is_asked_again() {
        let mut scene = Scene::usual();
        scene.ask(drop_of(0, 1));
        scene.ask(drop_of(1, 99));
        scene.ask(drop_of(0, 2));
        scene.ask(stats());
        let missed = [scene.drop_applied(1, 1), scene.drop_applied(3, 2)];
        scene.checker.cut();
        assert_eq!(scene.checker.resume().unwrap().revision, 1);
        scene.welcome(3, true);
        for applied in missed {
            assert!(!scene.checker.is_live(), "the mirror is not whole yet");
            scene.hear(ServerMessage::Applied(applied)).expect("the reply came after all");
        }
        assert!(scene.checker.is_live());
        assert_eq!(seqs(&scene.checker.ask_again()), [2, 4], "the refused one, and the one that never arrived");
        let refused = scene.refusal(2, Code::InsufficientQuantity);
        scene.hear(ServerMessage::Refused(refused));
        let figures = Stats { used_slots: 2, max_slots: 100, weight: 0, max_weight: 0, item_count: 32, total_value: 0 };
        scene.hear(scene.answer(4, Answered::Stats(figures)));
        assert_eq!(scene.honest().dropped.of(&item("ore")), 3);
    }

    #[test]
    fn after_a_crash_kept_replies_and_duplicates_tell_what_happened() {
        let mut scene = Scene::usual();
        scene.ask(drop_of(0, 1));
        scene.ask(drop_of(0, 2));
        scene.ask(drop_of(1, 99));
        scene.ask(use_of("potion"));
        let first = scene.drop_applied(1, 1);
        scene.drop_applied(2, 2);
        scene.restart();
        // The refusal of the third was never saved: its number is free again, and the fourth moves up.
        scene.welcome(2, false);
        scene.show();
        assert_eq!(seqs(&scene.checker.ask_again()), [1, 2, 3, 4]);
        scene.hear(ServerMessage::Applied(first));
        scene.hear(scene.duplicate(2, Some(3)));
        let refused = scene.refusal(3, Code::InsufficientQuantity);
        scene.hear(ServerMessage::Refused(refused));
        let change = scene.becomes(1, 4);
        let used = scene.reply(4, vec![change]);
        scene.hear(ServerMessage::Applied(used));
        let tally = scene.honest();
        assert_eq!((tally.dropped.of(&item("ore")), tally.used.of(&item("potion"))), (3, 1));
        assert_eq!(tally.resolved_later, 2);
    }

    #[test]
    fn gifts_that_came_during_the_cut_explain_revisions() {
        let mut scene = Scene::usual();
        scene.restart();
        scene.gift(stack(4, "helm", 1));
        scene.checker.announce_gifts(1);
        scene.welcome(0, false);
        scene.show();
        scene.honest();
    }

    #[test]
    fn collapsed_replies_are_made_good_by_a_snapshot() {
        let mut scene = Scene::usual();
        scene.ask(drop_of(0, 4));
        scene.ask(drop_of(0, 99));
        let applied = scene.drop_applied(1, 4);
        scene.hear(ServerMessage::Applied(Applied { changes: vec![], collapsed: true, ..applied }));
        scene.gift(stack(4, "helm", 1));
        let refused = scene.refusal(2, Code::InsufficientQuantity);
        scene.hear(ServerMessage::Refused(refused));
        scene.show();
        assert_eq!(scene.honest().dropped.of(&item("ore")), 4);
    }

    #[test]
    fn acknowledged_before_saved_may_lose_the_end() {
        let mut scene = Scene::usual();
        scene.ack = "applied";
        scene.restart();
        scene.welcome(0, false);
        scene.show();
        let saved = (scene.places.clone(), scene.revision);
        scene.dropped(1, 4);
        (scene.places, scene.revision) = saved;
        scene.restart();
        scene.welcome(0, false);
        scene.show();
        scene.dropped(1, 2);
        let tally = scene.honest();
        assert_eq!((tally.dropped.of(&item("ore")), tally.lost.of(&item("ore"))), (6, -4));
    }
}

mod of_what_was_acknowledged {
    use super::*;

    #[test]
    fn an_acked_effect_that_is_gone_after_a_crash_is_found() {
        let mut scene = Scene::usual();
        let before = (scene.places.clone(), scene.revision);
        scene.dropped(1, 10);
        (scene.places, scene.revision) = before;
        scene.restart();
        scene.welcome(1, false);
        scene.show();
        found!(scene, Fault::LostAckedEffect(_));
    }

    #[test]
    fn an_acked_request_whose_number_is_forgotten_is_found() {
        let mut scene = Scene::usual();
        scene.dropped(1, 10);
        scene.restart();
        scene.welcome(0, false);
        found!(scene, Fault::LostAckedEffect(_));
    }

    #[test]
    fn an_effect_claimed_by_a_reply_but_missing_from_a_resume_is_found() {
        let mut scene = Scene::usual();
        scene.ask(drop_of(0, 1));
        scene.checker.cut();
        scene.welcome(1, true);
        let claimed = scene.kept(1, 1, vec![Change::Remove(Removed { place: Place::Bag(0) })]);
        scene.hear(ServerMessage::Applied(claimed));
        found!(scene, Fault::LostAckedEffect(_));
    }

    #[test]
    fn the_same_revision_with_other_things_is_found() {
        let mut scene = Scene::usual();
        scene.dropped(1, 10);
        scene.restart();
        scene.becomes(0, 30);
        scene.welcome(1, false);
        scene.show();
        found!(scene, Fault::MirrorDiffers { .. });
    }
}

mod of_doubled_effects {
    use super::*;

    #[test]
    fn a_request_that_was_cut_off_twice_may_have_taken_effect_before_the_first_return() {
        let mut scene = Scene::usual();
        scene.ask(drop_of(0, 1));
        scene.drop_applied(1, 1);
        for resumed in [false, true] {
            scene.checker.cut();
            scene.welcome(1, resumed);
            if !resumed {
                scene.show();
            }
        }
        scene.hear(scene.duplicate(1, Some(2)));
        assert_eq!(scene.honest().dropped.of(&item("ore")), 1);
    }

    #[test]
    fn a_request_asked_again_that_takes_effect_again_is_found() {
        let mut scene = Scene::usual();
        scene.ask(drop_of(0, 1));
        scene.drop_applied(1, 1);
        scene.restart();
        scene.welcome(1, false);
        scene.show();
        let again = scene.drop_applied(1, 1);
        scene.hear(ServerMessage::Applied(again));
        found!(scene, Fault::DoubledEffect(_));
    }

    #[test]
    fn an_answered_request_that_takes_effect_again_is_found() {
        let mut scene = Scene::usual();
        scene.dropped(1, 1);
        let again = scene.drop_applied(1, 1);
        scene.hear(ServerMessage::Applied(again));
        let faults = scene.faults();
        assert!(matches!(faults.as_slice(), [Fault::ReplyTwice(_), Fault::DoubledEffect(_)]), "{faults:?}");
    }

    #[test]
    fn two_requests_that_claim_one_revision_are_found() {
        let mut scene = Scene::usual();
        scene.ask(drop_of(0, 1));
        scene.ask(drop_of(0, 1));
        let first = scene.drop_applied(1, 1);
        scene.drop_applied(2, 1);
        scene.restart();
        scene.welcome(2, false);
        scene.show();
        scene.hear(ServerMessage::Applied(first));
        scene.hear(scene.duplicate(2, Some(2)));
        found!(scene, Fault::DoubledEffect(_));
    }

    #[test]
    fn revisions_that_nobody_asked_for_are_found() {
        let mut scene = Scene::usual();
        scene.ask(drop_of(0, 1));
        scene.drop_applied(1, 1);
        scene.drop_applied(1, 1);
        scene.restart();
        scene.welcome(1, false);
        scene.show();
        found!(scene, Fault::Unexplained { revisions: 2, explained: 1 });
    }
}

mod of_revisions_and_checksums {
    use super::*;

    #[test]
    fn a_wrong_checksum_is_found_and_only_a_resync_heals() {
        let mut scene = Scene::usual();
        scene.ask(drop_of(0, 1));
        let applied = scene.drop_applied(1, 1);
        scene.hear(ServerMessage::Applied(Applied { checksum: applied.checksum ^ 1, ..applied }));
        found!(scene, Fault::WrongChecksum { .. });
        assert!(scene.checker.wants_resync());
        scene.ask(resync());
        scene.hear(scene.answer(2, Answered::Snapshot(scene.snapshot())));
        assert!(!scene.checker.wants_resync());
        scene.dropped(3, 1);
        scene.honest();
    }

    #[test]
    fn a_gap_is_found() {
        let mut scene = Scene::usual();
        scene.gift(stack(4, "helm", 1));
        let second = scene.gift(stack(5, "helm", 1));
        scene.hear(ServerMessage::Delta(second));
        found!(scene, Fault::Gap { .. });
    }

    #[test]
    fn a_revision_that_comes_twice_is_found() {
        let mut scene = Scene::usual();
        let gift = scene.gift(stack(4, "helm", 1));
        scene.hear(ServerMessage::Delta(gift.clone()));
        scene.hear(ServerMessage::Delta(gift));
        found!(scene, Fault::Gap { .. });
    }

    #[test]
    fn collapsed_changes_without_a_snapshot_after_them_are_found() {
        let mut scene = Scene::usual();
        scene.ask(drop_of(0, 4));
        let applied = scene.drop_applied(1, 4);
        scene.hear(ServerMessage::Applied(Applied { changes: vec![], collapsed: true, ..applied }));
        let gift = scene.gift(stack(4, "helm", 1));
        scene.hear(ServerMessage::Delta(gift));
        let faults = scene.faults();
        assert!(matches!(faults.as_slice(), [Fault::Gap { .. }, Fault::Gap { .. }]), "{faults:?}");
    }
}

mod of_replies {
    use super::*;

    #[test]
    fn a_second_reply_is_found() {
        let mut scene = Scene::usual();
        scene.ask(drop_of(0, 99));
        for _ in 0..2 {
            let refused = scene.refusal(1, Code::InsufficientQuantity);
            scene.hear(ServerMessage::Refused(refused));
        }
        found!(scene, Fault::ReplyTwice(_));
    }

    #[test]
    fn a_reply_to_nobody_is_found() {
        let mut scene = Scene::usual();
        let refused = scene.refusal(9, Code::InsufficientQuantity);
        scene.hear(ServerMessage::Refused(refused));
        found!(scene, Fault::ReplyUnasked(_));
    }

    #[test]
    fn a_reply_out_of_order_is_found() {
        let mut scene = Scene::usual();
        scene.ask(drop_of(0, 99));
        scene.ask(drop_of(0, 98));
        for seq in [2, 1] {
            let refused = scene.refusal(seq, Code::InsufficientQuantity);
            scene.hear(ServerMessage::Refused(refused));
        }
        let faults = scene.faults();
        let [Fault::OutOfOrder { came, expected }] = faults.as_slice() else { panic!("{faults:?}") };
        assert_eq!((*came, *expected), (Seq::new(2), Seq::new(1)));
    }

    #[test]
    fn a_refusal_that_changed_something_is_found() {
        // The revision tells at once, but it could be that a snapshot follows: the next change decides.
        let mut scene = Scene::usual();
        scene.ask(drop_of(0, 99));
        scene.becomes(0, 29);
        scene.revision += 1;
        let refused = scene.refusal(1, Code::InsufficientQuantity);
        scene.hear(ServerMessage::Refused(refused));
        assert_eq!(scene.faults(), []);
        scene.checker.finish();
        found!(scene, Fault::RefusedChanged { .. });
        // Without a new revision, the next look at everything tells.
        let mut scene = Scene::usual();
        scene.ask(drop_of(0, 99));
        scene.ask(resync());
        scene.becomes(0, 29);
        let refused = scene.refusal(1, Code::InsufficientQuantity);
        scene.hear(ServerMessage::Refused(refused));
        scene.hear(scene.answer(2, Answered::Snapshot(scene.snapshot())));
        found!(scene, Fault::MirrorDiffers { .. });
    }

    #[test]
    fn a_refusal_under_an_older_revision_is_found() {
        let mut scene = Scene::usual();
        scene.dropped(1, 1);
        scene.ask(drop_of(0, 99));
        let mut refused = scene.refusal(2, Code::InsufficientQuantity);
        refused.revision = Revision::new(1);
        scene.hear(ServerMessage::Refused(refused));
        found!(scene, Fault::RefusedChanged { .. });
    }

    #[test]
    fn a_duplicate_of_what_was_sent_once_is_found() {
        let mut scene = Scene::usual();
        scene.ask(drop_of(0, 1));
        scene.hear(scene.duplicate(1, None));
        found!(scene, Fault::Protocol(_));
    }

    #[test]
    fn wrong_answers_are_found() {
        let mut scene = Scene::usual();
        scene.ask(count("ore"));
        scene.hear(scene.answer(1, Answered::Count(31)));
        found!(scene, Fault::WrongAnswer { .. });
        scene.ask(stats());
        let figures = Stats { used_slots: 3, max_slots: 100, weight: 0, max_weight: 0, item_count: 35, total_value: 0 };
        scene.hear(scene.answer(2, Answered::Stats(figures)));
        found!(scene, Fault::WrongAnswer { .. });
        scene.ask(count("ore"));
        scene.hear(scene.answer(3, Answered::Snapshot(scene.snapshot())));
        found!(scene, Fault::WrongAnswer { .. });
    }
}

mod of_effects {
    use super::*;

    #[test]
    fn a_drop_of_more_than_was_asked_is_found() {
        let mut scene = Scene::usual();
        scene.ask(drop_of(0, 1));
        let applied = scene.drop_applied(1, 2);
        scene.hear(ServerMessage::Applied(applied));
        found!(scene, Fault::NotAsked { .. });
    }

    #[test]
    fn a_drop_from_another_stack_than_the_one_named_is_found() {
        let mut scene = Scene::new([stack(0, "ore", 30), stack(1, "ore", 30)]);
        scene.ask(drop_of(0, 1));
        let change = scene.becomes(1, 29);
        let applied = scene.reply(1, vec![change]);
        scene.hear(ServerMessage::Applied(applied));
        found!(scene, Fault::NotAsked { .. });
    }

    #[test]
    fn an_applied_drop_that_did_nothing_is_found() {
        let mut scene = Scene::usual();
        scene.ask(drop_of(0, 1));
        scene.hear(ServerMessage::Applied(scene.kept(1, 1, vec![])));
        found!(scene, Fault::NotAsked { .. });
    }

    #[test]
    fn a_move_that_makes_or_eats_is_found() {
        for left in [29, 31] {
            let mut scene = Scene::usual();
            scene.ask(shift(0, 7));
            let gone = scene.becomes(0, 0);
            let mut there = stack(0, "ore", left);
            there.place = Place::Bag(7);
            let put = scene.holds(there);
            let applied = scene.reply(1, vec![gone, put]);
            scene.hear(ServerMessage::Applied(applied));
            found!(scene, Fault::NotAsked { .. });
        }
    }

    #[test]
    fn a_grant_of_less_without_an_overflow_is_found() {
        let mut scene = Scene::usual();
        scene.ask(grant("ore", 10));
        let change = scene.becomes(0, 39);
        let applied = scene.reply(1, vec![change]);
        scene.hear(ServerMessage::Applied(applied));
        found!(scene, Fault::NotAsked { .. });
    }

    #[test]
    fn a_sale_may_win_currency_and_lose_nothing_else() {
        let mut scene = Scene::usual();
        scene.ask(sell(0, 5));
        let changes = vec![scene.becomes(0, 25), scene.holds(balance("gold", 17))];
        let applied = scene.reply(1, changes);
        scene.hear(ServerMessage::Applied(applied));
        assert_eq!(scene.faults(), []);
        scene.ask(sell(0, 5));
        let changes = vec![scene.becomes(0, 20), scene.becomes(1, 4)];
        let applied = scene.reply(2, changes);
        scene.hear(ServerMessage::Applied(applied));
        found!(scene, Fault::NotAsked { .. });
    }

    #[test]
    fn a_gift_that_takes_is_found() {
        let mut scene = Scene::usual();
        let mut gift = scene.gift(stack(4, "helm", 1));
        scene.places.remove(&Place::Bag(4));
        gift.changes = vec![scene.becomes(0, 29)];
        gift.checksum = scene.checksum();
        scene.hear(ServerMessage::Delta(gift));
        found!(scene, Fault::BadPush { .. });
    }

    #[test]
    fn one_instance_in_two_places_is_found_at_the_end() {
        let mut scene = Scene::usual();
        let mut copy = stack(6, "helm", 1);
        copy.stack.as_mut().unwrap().instance = instance(100);
        let gift = scene.gift(copy);
        scene.hear(ServerMessage::Delta(gift));
        scene.checker.finish();
        found!(scene, Fault::InstanceTwice(_));
    }
}
