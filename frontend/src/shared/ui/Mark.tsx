/** The house's sign: a small flame in the accent colour. */
export function Mark({ size = 24 }: { size?: number }) {
  return (
    <svg className="mark" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <path d="M16 3c1 5 8 8 8 16a8 8 0 0 1-16 0c0-4 2-6 4-8 0 3 1 4 2 5 2-4 0-8 2-13z" fill="currentColor" />
      <path d="M16 18c1 2 3 3 3 6a3 3 0 0 1-6 0c0-2 2-4 3-6z" className="mark-heart" />
    </svg>
  )
}
