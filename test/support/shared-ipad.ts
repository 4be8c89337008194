/** The UserID of every user of a Shared iPad, where UserShortName tells who. */
export const SHARED_IPAD_USER_ID = 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF'
