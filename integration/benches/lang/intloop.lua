-- The same as intloop.repy.
local function run(turns)
  local total = 0
  local k = 0
  while k < turns do
    local j = k & 7
    while j < 11 do
      total = total + j * k - (total // 8)
      j = j + 1
    end
    if total > 1000000 then
      total = total - 1000000
    elseif total < 0 then
      total = 1 - total
    end
    k = k + 1
  end
  return total
end

print(run(1000000))
