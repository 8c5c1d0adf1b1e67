-- Change when a leased timer comes again, unless somebody has set it meanwhile: now, where its work
-- could not be done, or later, where it takes long.
-- KEYS[1]  prefix of the partition
-- ARGV     timer, end of its lease (ms), when it is to come (ms)
local timers = KEYS[1] .. 'timers'
if tonumber(redis.call('ZSCORE', timers, ARGV[1]) or '') == tonumber(ARGV[2]) then
  redis.call('ZADD', timers, ARGV[3], ARGV[1])
end
return 1
