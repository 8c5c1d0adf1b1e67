-- Claim the messages of dead consumers, and forget those that left none.
-- KEYS[1]  prefix of the partition
-- ARGV     consumer group, consumer, how many messages of each at most
-- Returns  the entries, as XCLAIM does
local outbox, claimed = KEYS[1] .. 'outbox', {}
check('EXISTS', outbox)
check('XPENDING', outbox, ARGV[1])
check('XGROUP', 'DELCONSUMER', outbox, ARGV[1], '')
check('XCLAIM', outbox, ARGV[1], ARGV[2], '0', '0-0')
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', outbox, ARGV[1])) do
  local name
  for i = 1, #fields, 2 do
    if fields[i] == 'name' then name = fields[i + 1] end
  end
  if name ~= ARGV[2] and redis.call('EXISTS', KEYS[1] .. 'lease:consumer:' .. name) == 0 then
    local pending = redis.call('XPENDING', outbox, ARGV[1], '-', '+', ARGV[3], name)
    if #pending == 0 then
      -- in the script, because a message that it read meanwhile would be lost with it
      redis.call('XGROUP', 'DELCONSUMER', outbox, ARGV[1], name)
    else
      local ids = {}
      for i, row in ipairs(pending) do ids[i] = row[1] end
      for _, entry in ipairs(redis.call('XCLAIM', outbox, ARGV[1], ARGV[2], 0, unpack(ids))) do
        if entry then claimed[#claimed + 1] = entry end  -- false: deleted since
      end
    end
  end
end
return claimed
