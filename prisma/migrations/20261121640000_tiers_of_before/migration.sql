-- Members who were there before there were tiers were judged by no ladder, and nothing of theirs
-- was due: the next day looks at everybody once, as after a change of the ladder.
UPDATE programs SET ladder_version = ladder_version + 1;
