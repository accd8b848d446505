/** What keeps a member's events in the order in which they happened. */
import type { Guard, TestOf } from './edits.ts';

const outbox = (title: string): TestOf => ({ file: 'test/race/outbox.test.ts', title });

export const outboxGuards: readonly Guard[] = [
  {
    name: 'locks of an award before its first write',
    protects: 'a member’s events are read in the order in which they happened',
    edits: [
      {
        file: 'award_points',
        replace: /SELECT try_lock_award[\s\S]*?FROM jsonb/g,
        by: 'SELECT true FROM jsonb',
      },
      {
        file: 'award_points',
        replace: /IF v_ready\[v_place\] THEN/g,
        by: `IF try_lock_award(p_program, v_item->>'source', v_item->>'order_id')
          AND try_lock_member(p_program, (v_item->>'member_id')::uuid) THEN`,
      },
    ],
    needs: [
      outbox(
        'awards for two members, award for the second, commit, commit: in the order of events',
      ),
    ],
  },
  {
    name: 'locks of a spend before its first write',
    protects: 'the same',
    edits: [
      { file: 'spend_points', replace: /SELECT try_lock_member\(.*\n/g, by: 'SELECT true\n' },
      {
        file: 'spend_points',
        replace: /IF v_ready\[v_place\] THEN/g,
        by: "IF try_lock_member(p_program, (v_item->>'member_id')::uuid) THEN",
      },
    ],
    needs: [
      outbox('spends of two members, spend of the second, commit, commit: in the order of events'),
    ],
  },
  {
    name: 'locks of a sweep before its first write',
    protects: 'the same',
    edits: [
      {
        file: 'expire_points',
        replace: /PERFORM lock_members\(p_program, p_members\);[\s\S]*program_now\(p_program\)\);/g,
        by: `FOR n IN 1..cardinality(p_members) LOOP
          PERFORM lock_members(p_program, p_members[n:n]);
          PERFORM expire_members(
            p_program, p_members[n:n], day_start(p_program, p_day), program_now(p_program));
        END LOOP;
        RETURN 0;`,
      },
    ],
    needs: [
      outbox(
        'a sweep of two members, award for the second, commit, commit: in the order of events',
      ),
    ],
  },
  {
    name: 'age of a code',
    protects: 'a redemption is not told under an earlier number than what it saw',
    edits: [{ file: 'redeem_codes', replace: /began_later\(c\.xmin\)/g, by: 'false' }],
    needs: [
      outbox(
        'a batch of redemptions has begun, a code is claimed, redeem: told AGAIN, and in order',
      ),
    ],
  },
  {
    name: 'horizon of the feed',
    protects: 'an event that is committed late is not passed over',
    edits: [{ file: 'read_events', replace: /AND e\.xid < events_horizon\(\)/g, by: '' }],
    needs: [
      outbox(
        'an event is written, another committed, read, commit: the reader gets both, in order',
      ),
    ],
  },
];
