/**
 * Whose enrollment a request is about, in SQL: the certificate of `i` is the one in use of the device `i.device`, and the channel
 * `i.id` is that device or one of its users. `c` is the certificate then, `e` the enrollment.
 */
export const CALLER = `join enrollment_certificates c
    on c.enrollment_id = i.device and c.fingerprint = i.fingerprint and c.state = 'active'
  join enrollments e on e.id = i.id and (e.id = i.device or e.parent_id = i.device)`
