/** The words below a time axis: 24 hours, the day where it begins, the same for everybody. */

/**
 * `ticks`: seconds since the epoch. `textOf`: "2026-11-24 14:03:05" of milliseconds, in the zone that is shown. A tick
 * at midnight is a day; another one is a time, with its day in a second line where it is the first of that day.
 */
export function axisTimes(
  ticks: readonly number[],
  textOf: (ms: number) => string,
): readonly string[] {
  const said = ticks.map((tick) => {
    const [day = "", time = ""] = textOf(tick * 1000).split(" ");
    return { day, time };
  });
  const onlyDays = said.every(({ time }) => time === "00:00:00");
  const withSeconds = said.some(({ time }) => !time.endsWith(":00"));
  return said.map(({ day, time }, at) => {
    const before = said[at - 1]?.day;
    // The year is said where one begins to read, and where it changes.
    const shortDay = before?.slice(0, 4) === day.slice(0, 4) ? day.slice(5) : day;
    if (onlyDays) return shortDay;
    const clock = withSeconds ? time : time.slice(0, 5);
    return before === day ? clock : `${clock}\n${shortDay}`;
  });
}
