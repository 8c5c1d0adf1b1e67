-- Forget the attempts of somebody whose password was right.
-- KEYS[1]  prefix of the partition
-- ARGV[1]  msgpack: list of {counter, tries, true = clear it, false = take one attempt back}
local prefix, counters = KEYS[1], cmsgpack.unpack(ARGV[1])
for _, counter in ipairs(counters) do
  check('EXISTS', prefix .. 'attempts:' .. counter[1])
  check('DECR', prefix .. 'attempts:' .. counter[1])
  check('DEL', prefix .. 'blocked:' .. counter[1])
end
for _, counter in ipairs(counters) do
  local attempts, blocked = prefix .. 'attempts:' .. counter[1], prefix .. 'blocked:' .. counter[1]
  if counter[3] then
    redis.call('DEL', attempts, blocked)
  elseif redis.call('EXISTS', attempts) == 1 then  -- DECR would make one that never expires
    if redis.call('DECR', attempts) < counter[2] then redis.call('DEL', blocked) end
  end
end
return 1
