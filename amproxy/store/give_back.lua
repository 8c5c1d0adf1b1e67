-- Make a leased timer due again before its lease is over, unless somebody has set it meanwhile.
-- KEYS[1]  prefix of the partition
-- ARGV     timer, end of its lease (ms), now (ms)
local timers = KEYS[1] .. 'timers'
if tonumber(redis.call('ZSCORE', timers, ARGV[1]) or '') == tonumber(ARGV[2]) then
  redis.call('ZADD', timers, ARGV[3], ARGV[1])
end
return 1
