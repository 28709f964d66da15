-- Stations by their bad days.
select station, count(*) filter (where bad)::int as bad_days, max(no2)::float as highest
  from air_days
 group by station
having count(*) filter (where bad) >= :least
 order by bad_days desc, highest desc
 limit 3;
